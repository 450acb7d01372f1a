//! One comparison of a condition, compiled.

use lanner_event::{EVENTS, EventType, SYSCALL_NAMES};
use lanner_fields::{Context, Field, FieldType, Term, Value, Vocabulary};
use lanner_filter::{Check, Expr, ExprKind, Literal, Operator, Right};
use lanner_rules::Problem;

use crate::dynamic;
use crate::engine::is_generic;
use crate::lower::lower;
use crate::matcher::{Matcher, Reason, check_operator};
use crate::names::Names;
use crate::scope::Scope;

/// A field (or a transformer over fields) and what must be true of its value.
#[derive(Clone, Debug)]
pub(crate) struct Predicate {
    pub(crate) term: Term,
    pub(crate) test: Test,
}

/// What must be true of a value.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// It fits; if it is a list, all of it.
    Fits(Matcher),
    /// It fits; if it is a list, any of it (`intersects`).
    Shares(Matcher),
    /// It compares with another value of the same event.
    With(Operator, Term),
}

impl Predicate {
    /// Compiles an [`ExprKind::Exists`] or [`ExprKind::Check`].
    pub(crate) fn new<'v>(vocabulary: impl Into<Vocabulary<'v>>, expr: &Expr) -> Result<Predicate, Problem> {
        let vocabulary = vocabulary.into();
        match &expr.kind {
            ExprKind::Exists(operand) => {
                let term = lower(vocabulary, operand)?;
                Ok(Predicate { term, test: Test::Fits(Matcher::Exists) })
            }
            ExprKind::Check(check) => Predicate::of_check(vocabulary, check)
                .map_err(|problem| Problem { span: Some(expr.span), ..problem }),
            _ => Err(Problem { message: "no comparison".into(), ..Problem::default() }),
        }
    }

    fn of_check(vocabulary: Vocabulary<'_>, check: &Check) -> Result<Predicate, Problem> {
        let term = lower(vocabulary, &check.left)?;
        let field = term.as_field().map(|field| field.info().name);
        let values = match &check.right {
            Right::Operand(operand) => {
                check_operator(term.ty(), term.is_list(), check.operator).map_err(problem)?;
                let right = lower(vocabulary, operand)?;
                may_compare(&term, check.operator, &right).map_err(problem)?;
                return Ok(Predicate { term, test: Test::With(check.operator, right) });
            }
            Right::Value(value) | Right::Name(value) => std::slice::from_ref(value),
            Right::List(values) => values,
        };
        if let ("evt.around", [value]) = (field.unwrap_or_default(), values) {
            let matcher = Matcher::within(check.operator, value).map_err(problem)?;
            return Ok(Predicate { term, test: Test::Fits(matcher) });
        }
        check_operator(term.ty(), term.is_list(), check.operator).map_err(problem)?;
        let matcher = Matcher::build(term.ty(), check.operator, check.modifier, values).map_err(problem)?;
        if field == Some("evt.type") {
            values.iter().try_for_each(known_event)?;
        }
        let shares = check.operator == Operator::Intersects;
        Ok(Predicate { term, test: if shares { Test::Shares(matcher) } else { Test::Fits(matcher) } })
    }

    /// Whether it holds, its term having the value `left`.
    pub(crate) fn holds<'a>(&'a self, left: &Value<'a>, cx: &Context<'a>) -> bool {
        match &self.test {
            Test::Fits(matcher) => matcher.matches(left),
            Test::Shares(matcher) => matcher.intersects(left),
            Test::With(operator, right) => dynamic::compare(*operator, left, &right.operand(cx)),
        }
    }

    /// All fields that it looks at.
    pub(crate) fn fields(&self) -> Vec<&Field> {
        let mut fields = self.term.fields();
        if let Test::With(_, right) = &self.test {
            fields.extend(right.fields());
        }
        fields
    }

    /// On what its truth depends.
    pub(crate) fn scope(&self) -> Scope {
        let left = Scope::of(self.term.stable_until());
        match &self.test {
            Test::Fits(_) | Test::Shares(_) => left,
            Test::With(_, right) => left.and(Scope::of(right.stable_until())),
        }
    }

    /// Its truth for all events of a type, if the type settles it.
    pub(crate) fn settled(&self, ty: EventType) -> Option<bool> {
        let field = self.term.as_field()?;
        match field.fixed_for(ty) {
            Some(value) => self.holds_for_fixed(&value),
            None if field.info().name == "evt.type" && is_generic(ty) => self.settled_for_generic(),
            None => None,
        }
    }

    fn holds_for_fixed(&self, value: &Value<'_>) -> Option<bool> {
        match &self.test {
            Test::Fits(matcher) => Some(matcher.matches(value)),
            Test::Shares(matcher) => Some(matcher.intersects(value)),
            Test::With(..) => value.is_absent().then_some(false),
        }
    }

    /// A generic event is named after its system call: settled if the answer is the same for all.
    fn settled_for_generic(&self) -> Option<bool> {
        let mut answers =
            Names::get().generic().iter().map(|name| self.holds_for_fixed(&Value::Text(name.as_bytes())));
        let first = answers.next()??;
        answers.all(|answer| answer == Some(first)).then_some(first)
    }
}

pub(crate) fn problem(reason: Reason) -> Problem {
    Problem { message: reason.message, advice: reason.advice, ..Problem::default() }
}

/// A value of `evt.type` must be the name of an event or of a system call.
fn known_event(value: &Literal) -> Result<(), Problem> {
    let name = &*value.text();
    if Names::get().contains(name) || ["syscall", SYSCALL_NAMES[0]].contains(&name) {
        return Ok(());
    }
    let names = || EVENTS.iter().map(|info| info.name).chain(SYSCALL_NAMES.iter().copied());
    let advice = lanner_fields::closest(name, names()).map(|similar| format!("did you mean {similar}?"));
    Err(Problem {
        message: format!("unknown event type {name}"),
        advice,
        unknown: true,
        span: Some(value.span),
    })
}

/// Whether two terms can be compared with each other.
fn may_compare(left: &Term, operator: Operator, right: &Term) -> Result<(), Reason> {
    let advice = "compare with a constant value instead";
    let name =
        |term: &Term| term.fields().first().map_or_else(|| term.to_string(), |f| f.info().name.to_owned());
    if matches!(operator, Operator::PMatch | Operator::Regex) {
        let operator = operator.as_str().to_ascii_uppercase();
        return Err(Reason::new(
            format!("operator '{operator}' doesn't support right-hand side fields"),
            advice,
        ));
    }
    if left.ty() == FieldType::Net {
        return Err(Reason::new("field type 'IPNET' doesn't support right-hand side fields", advice));
    }
    let closed = |term: &Term| term.fields().iter().any(|field| !field.info().right_side);
    if closed(left) {
        return Err(Reason::new(
            format!("field '{}' doesn't support right-hand side fields", name(left)),
            advice,
        ));
    }
    if closed(right) {
        return Err(Reason::new(
            format!("field '{}' can't be used as a right-hand side field", name(right)),
            advice,
        ));
    }
    if left.ty() == right.ty() && left.is_list() == right.is_list() {
        return Ok(());
    }
    let ty = |term: &Term| format!("'{}'{}", term.ty().as_str(), if term.is_list() { " (list)" } else { "" });
    let quoted = |term: &Term| {
        let list = if term.is_list() { " (list)" } else { "" };
        format!("'{}{list}'", term.ty().as_str())
    };
    let message = format!(
        "field '{}' has type {} while the right-hand side field '{}' has incompatible type {}",
        name(left),
        quoted(left),
        name(right),
        quoted(right),
    );
    Err(Reason::new(
        message,
        format!("both sides must be of one type: {} and {} are not", ty(left), ty(right)),
    ))
}
