//! How often each operation asks for memory. More than stated here is an error.

#[path = "fixtures/decide.rs"]
mod decide;
#[path = "fixtures/tokens.rs"]
mod fixtures;

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use fixtures::Fixture;
use portcullis_core::{Authority, CanonicalPath, Clock};
use portcullis_edge::head_gate::{HeadGate, HeadLimits};
use portcullis_limit::{Limiter, Quota};

/// Runs of each operation. What is allocated once, or only now and then, is divided by this.
const RUNS: u64 = 64;

/// Counts, prints, and remembers whether all counts were within their bounds.
struct Count<W> {
    out: W,
    passed: u32,
    failed: u32,
}

impl<W: Write> Count<W> {
    fn operation<T>(
        &mut self,
        name: &str,
        most: u64,
        mut run: impl FnMut() -> T,
    ) -> io::Result<()> {
        black_box(run());
        let counted = allocation_counter::measure(|| {
            for _ in 0..RUNS {
                black_box(run());
            }
        });
        let each = counted.count_total.div_ceil(RUNS);
        let bytes = counted.bytes_total.div_ceil(RUNS);
        let good = each <= most;
        let verdict = if good { "" } else { "  too many" };
        *(if good { &mut self.passed } else { &mut self.failed }) += 1;
        writeln!(self.out, "{name:<28} {each:>4} of {most:>3} {bytes:>8} bytes{verdict}")
    }
}

fn limiter(burst: u32) -> Limiter {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let period = Duration::from_hours(1);
    let name = "bench".into();
    let quota = Quota { name, count: NonZeroU32::MIN, period, burst, maximum_keys: 1_000 };
    Limiter::new(quota, Clock::system())
}

fn core(count: &mut Count<impl Write>) -> io::Result<()> {
    let path = |text: &'static str| move || CanonicalPath::parse(black_box(text));
    count.operation("path: plain", 1, path("/v1/users/4711/orders"))?;
    count.operation("path: escapes", 2, path("/v1/users/J%c3%b6rg%20M/orders"))?;
    count.operation("path: dots", 2, path("/v1/./users/x/../4711/orders"))?;
    count.operation("path: refused", 0, path("/v1//admin"))?;
    count.operation("authority", 1, || Authority::parse(black_box("API.example.com:443")))?;
    count.operation("authority: refused", 0, || Authority::parse(black_box("a, b")))
}

fn head_gate(count: &mut Count<impl Write>) -> io::Result<()> {
    const LIMITS: HeadLimits = HeadLimits { size: 32 * 1024, fields: 100, target: 8 * 1024 };
    const HEAD: &[u8] = b"GET /v1/users/4711 HTTP/1.1\r\nHost: api.test\r\nAccept: */*\r\n\r\n";
    count.operation("head gate", 1, || HeadGate::new(LIMITS).judge(black_box(HEAD)))
}

fn limits(count: &mut Count<impl Write>) -> io::Result<()> {
    let generous = limiter(u32::MAX);
    count.operation("limit: admitted", 0, || generous.admit(black_box(b"key")))?;
    let strict = limiter(1);
    count.operation("limit: refused", 0, || strict.admit(black_box(b"key")))
}

fn tokens(count: &mut Count<impl Write>, fixture: &Fixture) -> io::Result<()> {
    for (alg, token) in &fixture.tokens {
        let issuer = fixture.issuer();
        let name = format!("token: cached {}", alg.as_str());
        count.operation(&name, 0, || fixture.verify(&issuer, black_box(token)))?;
    }
    Ok(())
}

fn decisions(count: &mut Count<impl Write>) -> Result<(), Box<dyn Error>> {
    let world = decide::World::new()?;
    for (name, most, path) in [
        ("decide: cached token", 3, "/v1/users/4711/orders"),
        ("decide: API key", 3, "/v1/reports"),
        ("decide: policy of a claim", 4, "/v1/tenant"),
        ("decide: policy, owner or role", 5, "/v1/users/4711/invoices"),
        ("decide: public", 1, "/healthz"),
    ] {
        let head = world.head(path)?;
        if !world.forwards(&head) {
            return Err(format!("{name}: not forwarded").into());
        }
        count.operation(name, most, || world.forwards(black_box(&head)))?;
    }
    Ok(())
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let fixture = Fixture::new()?;
    fixture.check()?;
    let mut count = Count { out: io::stdout().lock(), passed: 0, failed: 0 };
    core(&mut count)?;
    head_gate(&mut count)?;
    limits(&mut count)?;
    tokens(&mut count, &fixture)?;
    decisions(&mut count)?;
    let Count { mut out, passed, failed } = count;
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
