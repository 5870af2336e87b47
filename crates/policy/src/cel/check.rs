//! The check of a parsed expression: every name, call and comparison, before there is a request. What
//! passes is an expression in which every variable is a number that [`super::asked`] knows.

mod calls;
mod operators;
mod reads;

pub(super) use operators::symbol;

use std::ops::Range;

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, ListExpr, LiteralValue, MapExpr,
};

use super::asked::Read;
use super::mistake::Mistake;
use super::types::Type;

/// Parts of an expression.
const MOST_PARTS: usize = 300;
/// Levels of parts within parts.
const DEEPEST: usize = 48;
/// Macros within macros.
const MOST_MACROS: usize = 2;

/// An expression and its type.
type Typed = (IdedExpr, Type);

/// A sound expression.
pub(super) struct Checked {
    pub(super) expr: IdedExpr,
    pub(super) reads: Vec<Read>,
}

/// Where a part of the expression stands.
pub(super) type Places<'s> = dyn Fn(u64) -> Range<usize> + 's;

pub(super) struct Checker<'s> {
    places: &'s Places<'s>,
    mistakes: Vec<Mistake>,
    reads: Vec<Read>,
    /// Variables of macros, the innermost last.
    locals: Vec<(String, Type)>,
    parts: usize,
    depth: usize,
    macros: usize,
}

/// Checks `expr`, whose parts stand where `places` says.
pub(super) fn check(expr: IdedExpr, places: &Places<'_>) -> Result<Checked, Vec<Mistake>> {
    let mut checker = Checker {
        places,
        mistakes: Vec::new(),
        reads: Vec::new(),
        locals: Vec::new(),
        parts: 0,
        depth: 0,
        macros: 0,
    };
    let id = expr.id;
    let (expr, found) = checker.part(expr);
    if !found.may_be(&Type::Bool) {
        let message = format!("a policy is true or false, this is {found}");
        checker.mistakes.push(Mistake::new(places(id), message).help("compare it with something"));
    }
    let reads_nothing = checker
        .reads
        .iter()
        .all(|read| matches!(read, Read::Budget | Read::Pattern(_) | Read::Step));
    if checker.mistakes.is_empty() && reads_nothing {
        let message = "the policy reads nothing of the request: it is always the same";
        checker.mistakes.push(Mistake::new(places(id), message));
    }
    if checker.mistakes.is_empty() {
        Ok(Checked { expr, reads: checker.reads })
    } else {
        Err(checker.mistakes)
    }
}

impl Checker<'_> {
    fn part(&mut self, expr: IdedExpr) -> Typed {
        self.parts += 1;
        if self.parts > MOST_PARTS || self.depth >= DEEPEST {
            return self.too_large(expr.id);
        }
        self.depth += 1;
        let id = expr.id;
        let typed = match expr.expr {
            Expr::Call(call) => self.call(id, call),
            Expr::Comprehension(comprehension) => self.comprehension(id, *comprehension),
            Expr::Ident(name) => self.name(id, name),
            Expr::List(list) => self.list(id, list),
            Expr::Literal(literal) => self.literal(id, literal),
            Expr::Map(map) => self.map(id, map),
            Expr::Select(select) => self.select(id, select),
            Expr::Struct(_) => self.wrong(id, "there are no messages in policies"),
            Expr::Unspecified => self.wrong(id, "something is missing"),
        };
        self.depth -= 1;
        typed
    }

    /// Noted once, however much there is.
    fn too_large(&mut self, id: u64) -> Typed {
        let message = "the expression is too large";
        if self.mistakes.iter().any(|mistake| mistake.message == message) {
            return nothing(id);
        }
        let mistake = self
            .at(id, message)
            .help(format!("at most {MOST_PARTS} parts, {DEEPEST} deep: make two policies of it"));
        self.push(id, mistake)
    }

    fn at(&self, id: u64, message: impl Into<String>) -> Mistake {
        Mistake::new((self.places)(id), message)
    }

    /// Notes a mistake; what follows from it is none.
    fn push(&mut self, id: u64, mistake: Mistake) -> Typed {
        self.mistakes.push(mistake);
        nothing(id)
    }

    fn wrong(&mut self, id: u64, message: impl Into<String>) -> Typed {
        let mistake = self.at(id, message);
        self.push(id, mistake)
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|(local, _)| local == name)
    }

    fn literal(&mut self, id: u64, literal: LiteralValue) -> Typed {
        let found = match &literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Bytes(_) => return self.wrong(id, "there are no bytes in policies"),
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Null => Type::Null,
            LiteralValue::String(_) => Type::Text,
            LiteralValue::UInt(_) => Type::Uint,
        };
        (IdedExpr { id, expr: Expr::Literal(literal) }, found)
    }

    fn list(&mut self, id: u64, list: ListExpr) -> Typed {
        let mut of: Option<Type> = None;
        let mut elements = Vec::with_capacity(list.elements.len());
        for element in list.elements {
            let (element, found) = self.part(element);
            elements.push(self.held(element, &found));
            of = Some(of.map_or(found.clone(), |of| of.or(&found)));
        }
        let list = ListExpr::new(elements);
        (IdedExpr { id, expr: Expr::List(list) }, Type::list(of.unwrap_or(Type::Any)))
    }

    fn map(&mut self, id: u64, map: MapExpr) -> Typed {
        let mut entries = Vec::with_capacity(map.entries.len());
        for mut entry in map.entries {
            let EntryExpr::MapEntry(mut inner) = entry.expr else {
                return self.wrong(id, "there are no messages in policies");
            };
            let key_id = inner.key.id;
            let (key, found) = self.part(inner.key);
            if !found.may_be(&Type::Text) {
                self.wrong(key_id, format!("the key of a map is a string, this is {found}"));
            }
            inner.key = key;
            let (value, found) = self.part(inner.value);
            inner.value = self.held(value, &found);
            entry.expr = EntryExpr::MapEntry(inner);
            entries.push(entry);
        }
        (IdedExpr { id, expr: Expr::Map(MapExpr { entries }) }, Type::map(Type::Any))
    }

    /// `all`, `exists`, `exists_one` and `filter`, as the parser writes them out. `map` would make
    /// lists of lists, and is not needed to say what is true.
    fn comprehension(&mut self, id: u64, of: ComprehensionExpr) -> Typed {
        let ComprehensionExpr { iter_range, iter_var, loop_step, .. } = &of;
        let range_id = iter_range.id;
        let Some(kind) = Macro::of(loop_step, iter_var) else {
            let mistake = self.at(id, "`map` is not in policies");
            return self.push(id, mistake.help("`exists` and `all` take any condition"));
        };
        if self.macros >= MOST_MACROS {
            let message = format!("more than {MOST_MACROS} macros within each other");
            return self.wrong(id, message);
        }
        let name = iter_var.clone();
        if super::names::VARIABLES.contains(&&*name) || self.is_local(&name) {
            return self.wrong(id, format!("`{name}` is a variable already"));
        }
        let ComprehensionExpr { iter_range, loop_cond, loop_step, .. } = of;
        let (iter_range, range) = self.part(iter_range);
        let Some(element) = range.element() else {
            return self.wrong(range_id, format!("{range} has no elements"));
        };
        self.locals.push((name, element));
        self.macros += 1;
        let (loop_cond, loop_step) = self.steps(kind, loop_cond, loop_step);
        self.macros -= 1;
        self.locals.pop();
        let found = if matches!(kind, Macro::Filter) { range } else { Type::Bool };
        let iter_var2 = None;
        let of = ComprehensionExpr {
            iter_range,
            iter_var: of.iter_var,
            iter_var2,
            accu_var: of.accu_var,
            accu_init: of.accu_init,
            loop_cond,
            loop_step,
            result: of.result,
        };
        (IdedExpr { id, expr: Expr::Comprehension(Box::new(of)) }, found)
    }

    /// Checks the condition of a macro, and makes every element count as a step.
    fn steps(&mut self, kind: Macro, cond: IdedExpr, step: IdedExpr) -> (IdedExpr, IdedExpr) {
        let Expr::Call(mut call) = step.expr else { return (cond, nothing(step.id).0) };
        let at = kind.condition();
        let Some(condition) = call.args.get_mut(at).map(std::mem::take) else {
            return (cond, nothing(step.id).0);
        };
        let condition_id = condition.id;
        let (condition, found) = self.part(condition);
        if !found.may_be(&Type::Bool) {
            self.wrong(condition_id, format!("the condition of a macro is {found}, not a bool"));
        }
        let counts = matches!(kind, Macro::Filter);
        let (cond, condition) =
            if counts { (cond, self.counted(condition)) } else { (self.counted(cond), condition) };
        if let Some(place) = call.args.get_mut(at) {
            *place = condition;
        }
        (cond, IdedExpr { id: step.id, expr: Expr::Call(call) })
    }

    /// `step ? expr : false`.
    fn counted(&mut self, expr: IdedExpr) -> IdedExpr {
        let id = expr.id;
        let step = self.read(id, Read::Step);
        let no = IdedExpr { id, expr: Expr::Literal(LiteralValue::Boolean(false.into())) };
        call_of(id, cel::common::ast::operators::CONDITIONAL, vec![step, expr, no])
    }

    /// A call of one of the functions of [`super::equal`].
    fn budgeted(&mut self, id: u64, name: &str, one: IdedExpr, other: IdedExpr) -> IdedExpr {
        let budget = self.read(id, Read::Budget);
        call_of(id, name, vec![one, other, budget])
    }

    /// An element of a list or a map, which is copied: in a macro again and again.
    fn held(&mut self, element: IdedExpr, found: &Type) -> IdedExpr {
        if self.macros == 0 || found.is_plain() || *found == Type::Null {
            return element;
        }
        let id = element.id;
        let null = IdedExpr { id, expr: Expr::Literal(LiteralValue::Null) };
        self.budgeted(id, super::equal::HELD, element, null)
    }

    /// The number that stands for what is read.
    fn read(&mut self, id: u64, read: Read) -> IdedExpr {
        let number = self.reads.len();
        self.reads.push(read);
        IdedExpr { id, expr: Expr::Ident(format!("@{number}")) }
    }
}

/// Which macro it was.
#[derive(Clone, Copy, Debug)]
enum Macro {
    /// `all` and `exists`.
    Fold,
    /// `exists_one`.
    One,
    Filter,
}

impl Macro {
    /// Told from the step that is taken for each element.
    fn of(step: &IdedExpr, variable: &str) -> Option<Self> {
        use cel::common::ast::operators::{ADD, CONDITIONAL, LOGICAL_AND, LOGICAL_OR};
        let Expr::Call(CallExpr { func_name, args, .. }) = &step.expr else { return None };
        if [LOGICAL_AND, LOGICAL_OR].contains(&&**func_name) {
            return Some(Self::Fold);
        }
        let then = args.get(1).filter(|_| func_name == CONDITIONAL)?;
        let Expr::Call(CallExpr { func_name, args, .. }) = &then.expr else { return None };
        let added = args.get(1).filter(|_| func_name == ADD)?;
        if matches!(added.expr, Expr::Literal(_)) {
            return Some(Self::One);
        }
        let Expr::List(ListExpr { elements, .. }) = &added.expr else { return None };
        let Expr::Ident(name) = &elements.first()?.expr else { return None };
        (elements.len() == 1 && name == variable).then_some(Self::Filter)
    }

    /// Which argument of the step is the condition.
    const fn condition(self) -> usize {
        match self {
            Self::Fold => 1,
            Self::Filter | Self::One => 0,
        }
    }
}

fn nothing(id: u64) -> Typed {
    (IdedExpr { id, expr: Expr::Literal(LiteralValue::Null) }, Type::Any)
}

fn call_of(id: u64, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    let call = CallExpr { func_name: name.to_owned(), target: None, args };
    IdedExpr { id, expr: Expr::Call(call) }
}

/// The text of a literal.
fn literal_text(expr: &IdedExpr) -> Option<&str> {
    let Expr::Literal(LiteralValue::String(text)) = &expr.expr else { return None };
    Some(text.inner())
}
