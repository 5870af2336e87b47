//! Calls of functions: their names, arguments and, where these are literals, their values.

use cel::common::ast::{CallExpr, Expr, operators as op};
use cel::{Context, IdedExpr, Value};

use super::operators::{is_literal, symbol};
use super::{Checker, Typed, call_of, literal_text};
use crate::cel::asked::Read;
use crate::cel::equal;
use crate::cel::functions::{self, CallError};
use crate::cel::pattern::Pattern;
use crate::cel::types::Type;

impl Checker<'_> {
    pub(super) fn call(&mut self, id: u64, call: CallExpr) -> Typed {
        let CallExpr { func_name: name, target, args } = call;
        if target.is_none() && symbol(&name).is_some() {
            return self.operator(id, &name, args);
        }
        if name == "matches" {
            return self.matches(id, target, args);
        }
        if let Some(error) = functions::not_a_macro(&name, target.is_some()) {
            return self.no_call(id, &name, &[], error);
        }
        let places: Vec<u64> = args.iter().map(|argument| argument.id).collect();
        let literals = args.iter().all(is_literal);
        let target = target.map(|target| self.part(*target));
        let (args, types): (Vec<IdedExpr>, Vec<Type>) =
            args.into_iter().map(|argument| self.part(argument)).unzip();
        let of = target.as_ref().map(|(_, of)| of);
        let found = match functions::call(&name, of, &types) {
            Ok(found) => found,
            Err(error) => return self.no_call(id, &name, &places, error),
        };
        if self.macros > 0 && name == "contains" {
            return self.contains(id, target, args);
        }
        let target = target.map(|(target, _)| Box::new(target));
        let call = IdedExpr { id, expr: Expr::Call(CallExpr { func_name: name, target, args }) };
        if literals && let Some(why) = constant_failure(&call) {
            let at = places.first().copied().unwrap_or(id);
            return self.wrong(at, why);
        }
        (call, found)
    }

    /// `text.contains(part)` in a macro, where it is asked again and again.
    fn contains(&mut self, id: u64, target: Option<Typed>, args: Vec<IdedExpr>) -> Typed {
        match (target, <[IdedExpr; 1]>::try_from(args)) {
            (Some((text, _)), Ok([part])) => {
                (self.budgeted(id, equal::CONTAINS, text, part), Type::Bool)
            }
            _ => self.no_call(id, "contains", &[], CallError::Unknown),
        }
    }

    fn no_call(&mut self, id: u64, name: &str, places: &[u64], error: CallError) -> Typed {
        match error {
            CallError::Unknown => {
                let mistake = self.at(id, format!("there is no function `{name}`"));
                self.push(id, mistake.one_of(name, functions::names()))
            }
            CallError::Arity(wanted) => {
                let mistake = self.at(id, format!("`{name}` takes other arguments"));
                self.push(id, mistake.expected(wanted))
            }
            CallError::Wrong(argument, found) => {
                let at = argument.and_then(|argument| places.get(argument)).copied().unwrap_or(id);
                self.wrong(at, format!("`{name}` does not go with {found}"))
            }
            CallError::NotAMember => {
                let mistake = self.at(id, format!("`{name}` is not called on a value"));
                self.push(id, mistake.help(format!("write `{name}(…)`")))
            }
            CallError::NotGlobal => {
                let mistake = self.at(id, format!("`{name}` is called on a value"));
                self.push(id, mistake.help(format!("write `value.{name}(…)`")))
            }
        }
    }

    /// `text.matches(pattern)` and `matches(text, pattern)`.
    fn matches(&mut self, id: u64, target: Option<Box<IdedExpr>>, args: Vec<IdedExpr>) -> Typed {
        let all: Vec<IdedExpr> = target.map(|target| *target).into_iter().chain(args).collect();
        let Ok([text, pattern]) = <[IdedExpr; 2]>::try_from(all) else {
            let mistake = self.at(id, "`matches` takes other arguments");
            return self.push(id, mistake.expected("one: a regular expression"));
        };
        let text_id = text.id;
        let (text, found) = self.part(text);
        if !found.may_be(&Type::Text) {
            return self.wrong(text_id, format!("`matches` does not go with {found}"));
        }
        let Some(written) = literal_text(&pattern) else {
            let mistake = self.at(pattern.id, "the pattern of `matches` is not a literal");
            let help = "patterns are compiled when the file is read: write it in quotes";
            return self.push(id, mistake.help(help));
        };
        match Pattern::new(written) {
            Ok(compiled) => {
                let pattern = self.read(pattern.id, Read::Pattern(compiled));
                let call = if self.macros > 0 {
                    self.budgeted(id, equal::MATCHES, text, pattern)
                } else {
                    call_of(id, op::IN, vec![text, pattern])
                };
                (call, Type::Bool)
            }
            Err(why) => self.wrong(pattern.id, why),
        }
    }
}

/// What is wrong with the literals of a call: a time zone, a time or a duration that is none.
fn constant_failure(call: &IdedExpr) -> Option<&'static str> {
    let Expr::Call(CallExpr { func_name, target, args }) = &call.expr else { return None };
    let what = match (&**func_name, target, &**args) {
        ("bool", None, _) => "this is no bool",
        ("double" | "int" | "uint", None, _) => "this is no such number",
        ("duration", None, _) => "this is no duration, such as `1h30m`",
        ("timestamp", None, _) => "this is no time, such as `2026-01-31T00:00:00Z`",
        (_, Some(_), [_]) if func_name.starts_with("get") => "there is no such time zone",
        _ => return None,
    };
    let mut probe = call.clone();
    if let Expr::Call(CallExpr { target: Some(target), .. }) = &mut probe.expr {
        let zero = Expr::Literal(cel::common::ast::LiteralValue::Int(0.into()));
        **target = call_of(target.id, "timestamp", vec![IdedExpr { id: target.id, expr: zero }]);
    }
    Value::resolve(&probe, &Context::default()).is_err().then_some(what)
}
