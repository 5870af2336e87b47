//! Names and fields: what an expression reads.

use cel::IdedExpr;
use cel::common::ast::{Expr, SelectExpr};
use cel::common::types::CelString;
use http::HeaderName;

use super::{Checker, Typed, literal_text};
use crate::cel::asked::Read;
use crate::cel::names::{self, VARIABLES, field, fields};
use crate::cel::types::Type;

impl Checker<'_> {
    /// A variable by itself.
    pub(super) fn name(&mut self, id: u64, name: String) -> Typed {
        if let Some((_, found)) = self.locals.iter().find(|(local, _)| *local == name) {
            let found = found.clone();
            return (IdedExpr { id, expr: Expr::Ident(name) }, found);
        }
        match &*name {
            "claims" => (self.read(id, Read::Claims), Type::map(Type::Any)),
            "now" => (self.read(id, Read::Now), Type::Timestamp),
            "path" => self.wrong(id, "`path` is not a value: name a variable of the path"),
            "client" | "principal" | "request" => {
                let message = format!("`{name}` is not a value: name one of its fields");
                let mistake = self.at(id, message).one_of("", fields(&name).iter().copied());
                self.push(id, mistake)
            }
            _ => {
                let mistake = self.at(id, format!("there is no variable `{name}`"));
                self.push(id, mistake.one_of(&name, VARIABLES))
            }
        }
    }

    /// `operand.field`, and `has(operand.field)`.
    pub(super) fn select(&mut self, id: u64, select: SelectExpr) -> Typed {
        let SelectExpr { operand, field, test } = select;
        match self.variable(&operand) {
            Some("claims") => return self.claim(id, &field, test),
            Some("path") => return self.path(id, &field, test),
            Some(variable) if variable != "now" => {
                let variable = variable.to_owned();
                return self.field(id, &variable, &field, test);
            }
            Some(_) | None => {}
        }
        if let Some(part) = self.of_request(&operand) {
            return self.entry(id, part, &field, test);
        }
        let (operand, of) = self.part(*operand);
        let Some(found) = of.field() else {
            return self.wrong(id, format!("{of} has no field `{field}`"));
        };
        let found = if test { Type::Bool } else { found };
        let select = SelectExpr { operand: Box::new(operand), field, test };
        (IdedExpr { id, expr: Expr::Select(select) }, found)
    }

    /// The variable that `expr` is, unless a macro has one of that name.
    pub(super) fn variable<'e>(&self, expr: &'e IdedExpr) -> Option<&'e str> {
        let Expr::Ident(name) = &expr.expr else { return None };
        (VARIABLES.contains(&&**name) && !self.is_local(name)).then_some(name)
    }

    /// `request.headers` or `request.query`, by its last word.
    pub(super) fn of_request(&self, expr: &IdedExpr) -> Option<&'static str> {
        let Expr::Select(SelectExpr { operand, field, test: false }) = &expr.expr else {
            return None;
        };
        let of = self.variable(operand)?;
        ["headers", "query"].into_iter().find(|part| of == "request" && field == part)
    }

    pub(super) fn claim(&mut self, id: u64, name: &str, test: bool) -> Typed {
        let name = CelString::from(name.to_owned());
        if test {
            (self.read(id, Read::HasClaim(name)), Type::Bool)
        } else {
            (self.read(id, Read::Claim(name)), Type::Any)
        }
    }

    fn path(&mut self, id: u64, name: &str, test: bool) -> Typed {
        if test {
            return self.wrong(id, "the variables of the path are always there");
        }
        (self.read(id, Read::Variable(name.into())), Type::Text)
    }

    fn field(&mut self, id: u64, variable: &str, name: &str, test: bool) -> Typed {
        let part =
            ["headers", "query"].into_iter().find(|part| variable == "request" && name == *part);
        match (field(variable, name), part) {
            (Some((read, found)), _) if !test => (self.read(id, read), found),
            (Some(_), _) | (None, Some(_)) if test => {
                let mistake = self.at(id, format!("`{variable}.{name}` is always there"));
                let help = "whether anybody is identified says `principal != null`";
                self.push(id, if variable == "principal" { mistake.help(help) } else { mistake })
            }
            (None, Some(part)) => {
                let mistake = self.at(id, format!("`request.{part}` is not a value"));
                self.push(id, mistake.help(format!("name one of them: `request.{part}[\"name\"]`")))
            }
            _ => {
                let mistake = self.at(id, format!("`{variable}` has no field `{name}`"));
                self.push(id, mistake.one_of(name, fields(variable).iter().copied()))
            }
        }
    }

    /// One field or parameter of the request, or whether it is there.
    pub(super) fn entry(&mut self, id: u64, part: &str, name: &str, test: bool) -> Typed {
        let read = match part {
            "headers" => {
                let name = match self.header(id, name) {
                    Ok(name) => name,
                    Err(wrong) => return wrong,
                };
                if test { Read::HasHeader(name) } else { Read::Header(name) }
            }
            _ if test => Read::HasQuery(name.into()),
            _ => Read::Query(name.into()),
        };
        (self.read(id, read), if test { Type::Bool } else { Type::Text })
    }

    fn header(&mut self, id: u64, name: &str) -> Result<HeaderName, Typed> {
        let lower = name.to_ascii_lowercase();
        if lower != name {
            let mistake = self.at(id, format!("`{name}`: names of fields are in lower case here"));
            return Err(self.push(id, mistake.help(format!("write `{lower}`"))));
        }
        if !names::may_read(name) {
            let mistake = self.at(id, format!("no policy reads the field `{name}`"));
            let help = "ask `principal`, `claims` or `client.address` for what was made of it";
            return Err(self.push(id, mistake.help(help)));
        }
        HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| self.wrong(id, format!("`{name}` is not the name of a field")))
    }

    /// `operand[index]`.
    pub(super) fn index(&mut self, id: u64, operand: IdedExpr, index: IdedExpr) -> Typed {
        if let Some(part) = self.of_request(&operand) {
            return match literal_text(&index).map(str::to_owned) {
                Some(name) => self.entry(id, part, &name, false),
                None => {
                    self.wrong(index.id, format!("the name in `request.{part}[…]` is a literal"))
                }
            };
        }
        if self.variable(&operand) == Some("claims")
            && let Some(name) = literal_text(&index)
        {
            let name = name.to_owned();
            return self.claim(id, &name, false);
        }
        let index_id = index.id;
        let (operand, of) = self.part(operand);
        let (index, by) = self.part(index);
        let Some((wanted, found)) = of.entry() else {
            return self.wrong(id, format!("{of} has no elements"));
        };
        if !by.may_be(&wanted) {
            return self.wrong(index_id, format!("the index is {wanted}, not {by}"));
        }
        let call = super::call_of(id, cel::common::ast::operators::INDEX, vec![operand, index]);
        (call, found)
    }
}
