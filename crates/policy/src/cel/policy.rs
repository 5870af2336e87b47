//! A compiled policy, and what it says of a request.

use std::fmt;
use std::sync::Arc;

use cel::common::types::CelBool;
use cel::{Context, Env, IdedExpr, Value};
use http::HeaderName;
use portcullis_core::Clock;
use portcullis_core::field_name::is_same;

use super::asked::{Asked, Read, Reader};
use super::check::Checked;
use super::equal::declare;
use super::mistake::Mistake;
use super::parse::parse;
use super::path::PathVariables;
use super::query::same_parameter;
use super::reason::reason;
use crate::{Origin, ReportOnly};

/// Compiles policies. One for all of a file: what they have in common is kept once.
pub struct Compiler {
    env: Arc<Env>,
    clock: Clock,
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiler").finish_non_exhaustive()
    }
}

/// One rule, by name.
pub struct Policy {
    name: Arc<str>,
    text: Box<str>,
    origin: Origin,
    expr: IdedExpr,
    reads: Vec<Read>,
    env: Arc<Env>,
    clock: Clock,
}

/// A policy as a route uses it.
#[derive(Clone, Debug)]
pub struct RoutePolicy {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Where the variables of the route's path stand.
    pub variables: Arc<PathVariables>,
    /// Where it only reports.
    pub report_only: Option<ReportOnly>,
}

/// What a policy says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It may pass.
    True,
    /// It may not.
    False,
    /// It cannot be said, for this reason: it may not.
    Failed(String),
}

impl Compiler {
    /// With the time of `clock`.
    pub fn new(clock: Clock) -> Self {
        let mut env = Env::stdlib();
        declare(&mut env);
        Self { env: Arc::new(env), clock }
    }

    /// Compiles the policy `name`, or tells all that is wrong with it.
    pub fn compile(
        &self,
        name: Arc<str>,
        text: &str,
        origin: Origin,
    ) -> Result<Policy, Vec<Mistake>> {
        let Checked { expr, reads } = parse(&self.env, text)?;
        let (env, clock) = (Arc::clone(&self.env), self.clock.clone());
        Ok(Policy { name, text: text.into(), origin, expr, reads, env, clock })
    }
}

impl Policy {
    /// Its name in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is written in the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line that says it.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// The variables of the path that it reads: every route that uses it must have them.
    pub fn path_variables(&self) -> impl Iterator<Item = &str> {
        self.reads.iter().filter_map(|read| {
            let Read::Variable(name) = read else { return None };
            Some(&**name)
        })
    }

    /// Whether it reads the field `name`, in a spelling that some servers take for it.
    pub fn reads_header(&self, name: &HeaderName) -> bool {
        self.reads.iter().any(|read| {
            let (Read::Header(read) | Read::HasHeader(read)) = read else { return false };
            is_same(read, name)
        })
    }

    /// Whether it reads the parameter `name` of the query, in a spelling that some servers take for it.
    pub fn reads_parameter(&self, name: &str) -> bool {
        self.reads.iter().any(|read| {
            let (Read::Query(read) | Read::HasQuery(read)) = read else { return false };
            same_parameter(name.as_bytes(), read)
        })
    }

    /// Asks it about a request. What cannot be evaluated is never true.
    pub fn judge(&self, asked: Asked<'_>) -> Judgement {
        let reader = Reader::new(asked, self.clock.now(), &self.reads);
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.set_variable_resolver(&reader);
        match Value::resolve_val(&self.expr, &context) {
            Ok(value) => match value.downcast_ref::<CelBool>().map(|truth| *truth.inner()) {
                Some(true) => Judgement::True,
                Some(false) => Judgement::False,
                None => {
                    Judgement::Failed(format!("{} where bool is needed", value.get_type().name()))
                }
            },
            Err(error) => Judgement::Failed(reason(&error, reader.why())),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}
