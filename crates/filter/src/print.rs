//! A tree as text. What is printed reads back to the same tree.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::{Argument, Check, Expr, ExprKind, Field, Literal, Operand, Right, Transform};
use crate::escape::{is_bare, quote};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::And(parts) => chain(f, " and ", parts),
            ExprKind::Or(parts) => chain(f, " or ", parts),
            // `not not x` would read as x.
            ExprKind::Not(inner) if matches!(inner.bare().kind, ExprKind::Not(_)) => {
                write!(f, "not ({inner})")
            }
            ExprKind::Not(inner) => write!(f, "not {inner}"),
            // A macro may be called `not`; before a blank it would read as the operator.
            ExprKind::Name(name) if name == "not" => f.write_str("(not)"),
            ExprKind::Name(name) => f.write_str(name),
            ExprKind::Macro { body, .. } => body.fmt(f),
            ExprKind::Exists(operand) => write!(f, "{operand} exists"),
            ExprKind::Check(check) => check.fmt(f),
        }
    }
}

impl Expr {
    /// The condition behind any macro names.
    fn bare(&self) -> &Expr {
        match &self.kind {
            ExprKind::Macro { body, .. } => body.bare(),
            _ => self,
        }
    }
}

fn chain(f: &mut Formatter<'_>, separator: &str, parts: &[Expr]) -> fmt::Result {
    f.write_char('(')?;
    separated(f, separator, parts)?;
    f.write_char(')')
}

fn separated<T: Display>(f: &mut Formatter<'_>, separator: &str, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.left, self.operator.as_str())?;
        if let Some(modifier) = self.modifier {
            write!(f, " {}", modifier.as_str())?;
        }
        write!(f, " {}", self.right)
    }
}

impl Display for Right {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Right::Value(value) | Right::Name(value) => value.fmt(f),
            Right::Operand(operand) => operand.fmt(f),
            Right::List(values) => {
                f.write_char('(')?;
                separated(f, ", ", values)?;
                f.write_char(')')
            }
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Field(field) => field.fmt(f),
            Operand::Transform(transform) => transform.fmt(f),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        bracket(f, self.argument.as_deref())
    }
}

impl Display for Transform {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.as_str())?;
        separated(f, ", ", &self.arguments)?;
        f.write_char(')')?;
        bracket(f, self.index.as_deref())
    }
}

impl Display for Argument {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Operand(operand) => operand.fmt(f),
            Argument::Value(value) => value.fmt(f),
            Argument::List(items) => {
                f.write_char('(')?;
                separated(f, ", ", items)?;
                f.write_char(')')
            }
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        text(f, &self.bytes, self.quoted || !is_bare(&self.bytes))
    }
}

fn bracket(f: &mut Formatter<'_>, argument: Option<&str>) -> fmt::Result {
    let Some(argument) = argument else { return Ok(()) };
    f.write_char('[')?;
    let plain = is_bare(argument.as_bytes()) && !argument.contains(['[', ']', '\\']);
    text(f, argument.as_bytes(), !plain)?;
    f.write_char(']')
}

fn text(f: &mut Formatter<'_>, bytes: &[u8], quoted: bool) -> fmt::Result {
    match std::str::from_utf8(bytes) {
        Ok(bare) if !quoted => f.write_str(bare),
        _ => {
            let mut out = String::with_capacity(bytes.len() + 2);
            quote(bytes, &mut out);
            f.write_str(&out)
        }
    }
}
