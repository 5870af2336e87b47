//! Operators: what goes with what.

use cel::IdedExpr;
use cel::common::ast::operators as op;
use cel::common::ast::{Expr, LiteralValue};

use super::{Checker, Typed, call_of, literal_text};
use crate::cel::asked::{Field, KINDS, Read};
use crate::cel::equal;
use crate::cel::mistake::Mistake;
use crate::cel::types::Type;

/// How an operator is written.
pub(in crate::cel) fn symbol(name: &str) -> Option<&'static str> {
    Some(match name {
        op::ADD => "+",
        op::CONDITIONAL => "? :",
        op::DIVIDE => "/",
        op::EQUALS => "==",
        op::GREATER => ">",
        op::GREATER_EQUALS => ">=",
        op::IN => "in",
        op::INDEX => "[…]",
        op::LESS => "<",
        op::LESS_EQUALS => "<=",
        op::LOGICAL_AND => "&&",
        op::LOGICAL_NOT => "!",
        op::LOGICAL_OR => "||",
        op::MODULO => "%",
        op::MULTIPLY => "*",
        op::NEGATE | op::SUBSTRACT => "-",
        op::NOT_EQUALS => "!=",
        _ => return None,
    })
}

impl Checker<'_> {
    /// An operator on the values it stands between.
    pub(super) fn operator(&mut self, id: u64, name: &str, arguments: Vec<IdedExpr>) -> Typed {
        let arguments = match <[IdedExpr; 2]>::try_from(arguments) {
            Ok([left, right]) => match name {
                op::INDEX => return self.index(id, left, right),
                op::IN => return self.within(id, left, right),
                op::EQUALS | op::NOT_EQUALS => return self.equality(id, name, left, right),
                _ => vec![left, right],
            },
            Err(arguments) => arguments,
        };
        let (arguments, types): (Vec<IdedExpr>, Vec<Type>) =
            arguments.into_iter().map(|argument| self.part(argument)).unzip();
        if let Some(found) = result(name, &types) {
            return (call_of(id, name, arguments), found);
        }
        let mistake = unfit(self.at(id, ""), name, &types);
        self.push(id, mistake)
    }

    /// `left == right` and `left != right`.
    fn equality(&mut self, id: u64, name: &str, left: IdedExpr, right: IdedExpr) -> Typed {
        let ids = (left.id, right.id);
        let (left, one) = self.side(left);
        let (right, other) = self.side(right);
        let sides = [&left, &right];
        if let Some(unknown) = self.unknown_kind(sides) {
            let mistake = self.at(ids.1, format!("`principal.kind` is never `{unknown}`"));
            return self.push(id, mistake.one_of(&unknown, KINDS));
        }
        let (whole, null) = (
            sides.iter().any(|side| self.is_whole(side)),
            one == Type::Null || other == Type::Null,
        );
        if whole && !null {
            let message = "`principal` can only be compared with null: name one of its fields";
            return self.wrong(id, message);
        }
        if !whole && !one.may_equal(&other) {
            let message = format!("{one} and {other} are never equal");
            return self.wrong(id, message);
        }
        let same = one.is_plain() && one == other;
        let call = match name {
            _ if same || null => call_of(id, name, vec![left, right]),
            op::EQUALS => self.budgeted(id, equal::EQUAL, left, right),
            _ => self.budgeted(id, equal::UNEQUAL, left, right),
        };
        (call, Type::Bool)
    }

    /// One side of a comparison, on which `principal` may stand by itself.
    fn side(&mut self, side: IdedExpr) -> Typed {
        if self.variable(&side) == Some("principal") {
            return (self.read(side.id, Read::Whole), Type::Any);
        }
        self.part(side)
    }

    fn read_of(&self, side: &IdedExpr) -> Option<&Read> {
        let Expr::Ident(name) = &side.expr else { return None };
        self.reads.get(name.strip_prefix('@')?.parse::<usize>().ok()?)
    }

    fn is_whole(&self, side: &IdedExpr) -> bool {
        matches!(self.read_of(side), Some(Read::Whole))
    }

    /// A literal that `principal.kind` is compared with and never is.
    fn unknown_kind(&self, [left, right]: [&IdedExpr; 2]) -> Option<String> {
        let is_kind =
            |side: &IdedExpr| matches!(self.read_of(side), Some(Read::Principal(Field::Kind)));
        let literal = if is_kind(left) {
            literal_text(right)
        } else if is_kind(right) {
            literal_text(left)
        } else {
            None
        };
        literal.filter(|kind| !KINDS.contains(kind)).map(str::to_owned)
    }

    /// `left in right`.
    fn within(&mut self, id: u64, left: IdedExpr, right: IdedExpr) -> Typed {
        if let Some(part) = self.of_request(&right) {
            return match literal_text(&left).map(str::to_owned) {
                Some(name) => self.entry(id, part, &name, true),
                None => self.wrong(left.id, format!("the name in `request.{part}` is a literal")),
            };
        }
        if self.variable(&right) == Some("claims")
            && let Some(name) = literal_text(&left)
        {
            let name = name.to_owned();
            return self.claim(id, &name, true);
        }
        let (left, one) = self.part(left);
        let (right, of) = self.part(right);
        let Some(element) = of.element() else {
            let mistake = self.at(id, format!("`in` looks into a list or a map, not {of}"));
            let help = "`text.contains(part)` looks into a string";
            return self.push(id, if of == Type::Text { mistake.help(help) } else { mistake });
        };
        if !one.may_equal(&element) {
            return self.wrong(id, format!("{one} is never in {}", inside(&of)));
        }
        let once = self.macros == 0 && one == Type::Text;
        let call = if once {
            call_of(id, op::IN, vec![left, right])
        } else {
            self.budgeted(id, equal::WITHIN, left, right)
        };
        (call, Type::Bool)
    }
}

fn inside(of: &Type) -> String {
    if let Type::List(of) = of {
        return format!("a list of which an element is {of}");
    }
    format!("{of}, whose keys are strings")
}

/// The type of `name` applied to values of `types`; `None` where it does not apply to them.
fn result(name: &str, types: &[Type]) -> Option<Type> {
    let truth = |found: &Type| found.may_be(&Type::Bool);
    match (name, types) {
        (op::LOGICAL_AND | op::LOGICAL_OR, [one, other]) => {
            (truth(one) && truth(other)).then_some(Type::Bool)
        }
        (op::LOGICAL_NOT, [one]) => truth(one).then_some(Type::Bool),
        (op::CONDITIONAL, [condition, then, otherwise]) => {
            truth(condition).then(|| then.clone().or(otherwise))
        }
        (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [one, other]) => {
            one.may_order(other).then_some(Type::Bool)
        }
        (op::ADD, [one, other]) => one.plus(other),
        (op::SUBSTRACT, [one, other]) => one.minus(other),
        (op::MULTIPLY | op::DIVIDE, [one, other]) => one.times(other),
        (op::MODULO, [one, other]) => one.times(other).filter(|found| *found != Type::Double),
        (op::NEGATE, [one]) => {
            let sound = matches!(one, Type::Any | Type::Double | Type::Int | Type::Duration);
            sound.then(|| one.clone())
        }
        _ => None,
    }
}

fn unfit(mistake: Mistake, name: &str, types: &[Type]) -> Mistake {
    let symbol = symbol(name).unwrap_or(name);
    let words: Vec<&str> = types.iter().map(Type::in_words).collect();
    let message = format!("`{symbol}` does not go with {}", words.join(" and "));
    let mistake = Mistake { message, ..mistake };
    match types {
        [Type::Any, Type::Any] => mistake.help("say what they are, such as `int(claims.x)`"),
        _ => mistake,
    }
}

/// Whether `expr` is a literal.
pub(super) const fn is_literal(expr: &IdedExpr) -> bool {
    matches!(expr.expr, Expr::Literal(LiteralValue::String(_) | LiteralValue::Int(_)))
}
