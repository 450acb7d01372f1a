//! The grammar, by recursive descent.
//!
//! ```text
//! or        = and ("or" and)*
//! and       = not ("and" not)*
//! not       = ("not ")* ( "not(" or ")" | check )
//! check     = "(" or ")" | operand condition | NAME
//! operand   = FIELD ("[" argument "]")? | function
//! function  = FUNCTION "(" argument ("," argument)* ")" ("[" argument "]")?
//! condition = "exists" | number-operator (NUMBER | right)
//!           | text-operator (TEXT | right) | text-operator modifier list
//!           | list-operator (list | right)
//! right     = "val(" FIELD ")" | function
//! list      = "(" (TEXT ("," TEXT)*)? ")" | NAME
//! ```
//!
//! Nothing is looked at more than a fixed number of times, so time is linear in the text; a limit
//! on nesting bounds the stack.

use crate::ast::{Argument, Check, Expr, ExprKind, Field, Function, Literal, Operand, Right, Transform};
use crate::error::{ParseError, Reason};
use crate::lex::Lexer;
use crate::position::Position;

/// How deep [`parse`] goes, in steps of the grammar; a pair of parentheses takes five.
pub const MAX_DEPTH: u32 = 1000;

/// Reads a condition.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with_limit(text, MAX_DEPTH)
}

/// Reads a condition that is nested less than `limit` steps.
pub fn parse_with_limit(text: &str, limit: u32) -> Result<Expr, ParseError> {
    Parser::new(text, limit).whole(|parser| parser.or())
}

/// Reads a field or a transformer over fields, as output formats have them.
pub fn parse_operand(text: &str) -> Result<Operand, ParseError> {
    Parser::new(text, MAX_DEPTH).whole(|parser| match parser.operand()? {
        Some(operand) => Ok(operand),
        None => Err(Reason::NoOperand { after: parser.lex.last_word() }),
    })
}

struct Parser<'t> {
    lex: Lexer<'t>,
    depth: u32,
    limit: u32,
    empty: bool,
}

type Parsed<T> = Result<T, Reason>;

impl<'t> Parser<'t> {
    fn new(text: &'t str, limit: u32) -> Self {
        // Offsets are 32 bits wide; no condition comes near that.
        let too_long = text.len() > u32::MAX as usize;
        let text = if too_long { "" } else { text };
        Parser { lex: Lexer::new(text), depth: 0, limit, empty: text.is_empty() }
    }

    fn whole<T>(mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Result<T, ParseError> {
        let result = match self.empty {
            true => Err(Reason::Empty),
            false => read(&mut self).and_then(|tree| match self.lex.next_char() {
                None => Ok(tree),
                Some(found) => Err(Reason::Trailing { after: self.lex.last_word(), found }),
            }),
        };
        result.map_err(|reason| ParseError { reason, position: self.lex.position() })
    }

    /// One step deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth + 1 >= self.limit {
            return Err(Reason::TooDeep { limit: self.limit });
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn expr(&self, kind: ExprKind, start: Position) -> Expr {
        Expr { kind, span: self.lex.span_from(start) }
    }

    fn or(&mut self) -> Parsed<Expr> {
        self.chain("or", ExprKind::Or, |parser| parser.and())
    }

    fn and(&mut self) -> Parsed<Expr> {
        self.chain("and", ExprKind::And, |parser| parser.not())
    }

    fn chain(
        &mut self,
        keyword: &'static str,
        join: impl FnOnce(Vec<Expr>) -> ExprKind,
        operand: impl Fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        self.nested(|parser| {
            parser.lex.blank();
            let start = parser.lex.position();
            let first = operand(parser)?;
            let mut end = parser.lex.position();
            let mut rest = Vec::new();
            parser.lex.blank();
            while parser.lex.exact(keyword) {
                let next = if parser.lex.blank() {
                    operand(parser)?
                } else if parser.lex.exact("(") {
                    parser.parenthesis()?
                } else {
                    return Err(Reason::Keyword { keyword });
                };
                rest.push(next);
                end = parser.lex.position();
                parser.lex.blank();
            }
            if rest.is_empty() {
                return Ok(first);
            }
            rest.insert(0, first);
            let span = crate::Span { start, end: end.offset };
            Ok(Expr { kind: join(rest), span })
        })
    }

    fn not(&mut self) -> Parsed<Expr> {
        self.nested(|parser| {
            parser.lex.blank();
            let start = parser.lex.position();
            let mut negated = false;
            while parser.lex.not() {
                negated = !negated;
            }
            let inner = if parser.lex.exact("not(") {
                negated = !negated;
                parser.parenthesis()?
            } else {
                parser.check()?
            };
            Ok(if negated { parser.expr(ExprKind::Not(Box::new(inner)), start) } else { inner })
        })
    }

    /// What follows an opened parenthesis.
    fn parenthesis(&mut self) -> Parsed<Expr> {
        self.nested(|parser| {
            let inner = parser.or()?;
            parser.lex.blank();
            if parser.lex.exact(")") { Ok(inner) } else { Err(Reason::Unclosed) }
        })
    }

    fn check(&mut self) -> Parsed<Expr> {
        self.nested(|parser| {
            parser.lex.blank();
            let start = parser.lex.position();
            if parser.lex.exact("(") {
                return parser.parenthesis();
            }
            if let Some(left) = parser.operand()? {
                return parser.condition(left, start);
            }
            match parser.lex.identifier() {
                Some(name) => Ok(parser.expr(ExprKind::Name(name.to_owned()), start)),
                None => Err(Reason::Check),
            }
        })
    }

    /// A field or a transformer, if one begins here.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let start = self.lex.position();
        if let Some(name) = self.lex.field_name() {
            return self.field(name, start).map(|field| Some(Operand::Field(field)));
        }
        match self.lex.function() {
            Some(function) => self.transform(function, start).map(Some),
            None => Ok(None),
        }
    }

    /// What follows a field's name.
    fn field(&mut self, name: &str, start: Position) -> Parsed<Field> {
        let argument = self.nested(|parser| parser.bracket())?;
        Ok(Field { name: name.to_owned(), argument, span: self.lex.span_from(start) })
    }

    fn bracket(&mut self) -> Parsed<Option<String>> {
        if !self.lex.exact("[") {
            return Ok(None);
        }
        let argument = match self.lex.quoted()? {
            Some(bytes) => String::from_utf8(bytes).map_err(|_| Reason::FieldArgumentBytes)?,
            None => self.lex.bare_argument().ok_or(Reason::FieldArgument)?.to_owned(),
        };
        if self.lex.exact("]") { Ok(Some(argument)) } else { Err(Reason::UnclosedBracket) }
    }

    /// What follows `function(`.
    fn transform(&mut self, function: Function, start: Position) -> Parsed<Operand> {
        self.nested(|parser| {
            let mut arguments = vec![parser.transform_argument()?];
            parser.lex.blank();
            while parser.lex.exact(",") {
                arguments.push(parser.transform_argument()?);
                parser.lex.blank();
            }
            parser.close_transform(function, arguments, start)
        })
    }

    fn close_transform(
        &mut self,
        function: Function,
        arguments: Vec<Argument>,
        start: Position,
    ) -> Parsed<Operand> {
        if !self.lex.exact(")") {
            return Err(Reason::UnclosedTransformer);
        }
        let index = self.bracket()?;
        let span = self.lex.span_from(start);
        Ok(Operand::Transform(Box::new(Transform { function, arguments, index, span })))
    }

    fn transform_argument(&mut self) -> Parsed<Argument> {
        self.nested(|parser| {
            parser.lex.blank();
            if let Some(value) = parser.number_or_quoted()? {
                return Ok(Argument::Value(value));
            }
            if parser.lex.exact("(") {
                return parser.transform_list();
            }
            let operand = parser.operand()?;
            operand.map(Argument::Operand).ok_or(Reason::TransformerArgument)
        })
    }

    /// What follows `(` within a transformer.
    fn transform_list(&mut self) -> Parsed<Argument> {
        let mut items = Vec::new();
        self.lex.blank();
        if self.lex.exact(")") {
            return Ok(Argument::List(items));
        }
        loop {
            self.lex.blank();
            items.push(match self.operand()? {
                Some(operand) => Argument::Operand(operand),
                None => {
                    let value = self.number_or_quoted()?;
                    Argument::Value(value.ok_or(Reason::TransformerListArgument)?)
                }
            });
            self.lex.blank();
            if !self.lex.exact(",") {
                break;
            }
        }
        if self.lex.exact(")") { Ok(Argument::List(items)) } else { Err(Reason::UnclosedTransformerList) }
    }

    fn number_or_quoted(&mut self) -> Parsed<Option<Literal>> {
        let start = self.lex.position();
        if let Some(number) = self.lex.number() {
            return Ok(Some(self.bare(number, start)));
        }
        self.quoted()
    }

    fn bare(&self, text: &str, start: Position) -> Literal {
        Literal { bytes: text.as_bytes().to_vec(), quoted: false, span: self.lex.span_from(start) }
    }

    fn quoted(&mut self) -> Parsed<Option<Literal>> {
        let start = self.lex.position();
        let bytes = self.lex.quoted()?;
        Ok(bytes.map(|bytes| Literal { bytes, quoted: true, span: self.lex.span_from(start) }))
    }

    /// Operator and right side.
    fn condition(&mut self, left: Operand, start: Position) -> Parsed<Expr> {
        self.nested(|parser| {
            parser.lex.blank();
            if parser.lex.exists() {
                return Ok(parser.expr(ExprKind::Exists(left), start));
            }
            let operator = parser.lex.operator().ok_or(Reason::Operator)?;
            let mut modifier = None;
            let right = if operator.takes_number() {
                parser.number()?
            } else if operator.takes_list() {
                parser.list_or_operand()?
            } else {
                // Behind a word operator the lexer has already found the blank.
                let word = operator.as_str().as_bytes()[0].is_ascii_alphabetic();
                let blank = parser.lex.blank() || word;
                let mark = parser.lex.mark();
                modifier = if blank { parser.lex.modifier() } else { None };
                if modifier.is_some() && !parser.lex.list_follows() {
                    modifier = None;
                    parser.lex.go_back(mark);
                }
                if modifier.is_some() { parser.list()? } else { parser.text()? }
            };
            let check = Check { left, operator, modifier, right };
            Ok(parser.expr(ExprKind::Check(Box::new(check)), start))
        })
    }

    fn number(&mut self) -> Parsed<Right> {
        self.nested(|parser| {
            if let Some(operand) = parser.right_operand()? {
                return Ok(Right::Operand(operand));
            }
            let start = parser.lex.position();
            let number = parser.lex.number().ok_or(Reason::Number)?;
            Ok(Right::Value(parser.bare(number, start)))
        })
    }

    fn text(&mut self) -> Parsed<Right> {
        self.nested(|parser| {
            if let Some(operand) = parser.right_operand()? {
                return Ok(Right::Operand(operand));
            }
            parser.plain_text(Reason::Text).map(Right::Value)
        })
    }

    fn plain_text(&mut self, otherwise: Reason) -> Parsed<Literal> {
        self.lex.blank();
        if let Some(quoted) = self.quoted()? {
            return Ok(quoted);
        }
        let start = self.lex.position();
        let bare = self.lex.bare_text().ok_or(otherwise)?;
        Ok(self.bare(bare, start))
    }

    fn list(&mut self) -> Parsed<Right> {
        self.nested(|parser| match parser.list_in_parentheses()? {
            Some(list) => Ok(list),
            None => parser.list_name().ok_or(Reason::List),
        })
    }

    fn list_or_operand(&mut self) -> Parsed<Right> {
        self.nested(|parser| {
            parser.lex.blank();
            if let Some(list) = parser.list_in_parentheses()? {
                return Ok(list);
            }
            if let Some(operand) = parser.right_operand()? {
                return Ok(Right::Operand(operand));
            }
            parser.list_name().ok_or(Reason::ListOrField)
        })
    }

    fn list_name(&mut self) -> Option<Right> {
        let start = self.lex.position();
        let name = self.lex.identifier()?;
        Some(Right::Name(self.bare(name, start)))
    }

    fn list_in_parentheses(&mut self) -> Parsed<Option<Right>> {
        self.lex.blank();
        if !self.lex.exact("(") {
            return Ok(None);
        }
        let mut items = Vec::new();
        // No first value makes an empty list, whatever kept it from being one; the missing
        // parenthesis is then the error.
        if let Ok(first) = self.nested(|parser| parser.plain_text(Reason::ListItem)) {
            items.push(first);
            self.lex.blank();
            while self.lex.exact(",") {
                items.push(self.nested(|parser| parser.plain_text(Reason::ListItem))?);
                self.lex.blank();
            }
        }
        if self.lex.exact(")") { Ok(Some(Right::List(items))) } else { Err(Reason::Unclosed) }
    }

    /// `val(field)` or a transformer, if one begins here.
    fn right_operand(&mut self) -> Parsed<Option<Operand>> {
        self.nested(|parser| {
            parser.lex.blank();
            let start = parser.lex.position();
            if parser.lex.val() {
                return parser.val(start).map(Some);
            }
            match parser.lex.function() {
                Some(function) => parser.transform(function, start).map(Some),
                None => Ok(None),
            }
        })
    }

    /// What follows `val(`.
    fn val(&mut self, start: Position) -> Parsed<Operand> {
        self.lex.blank();
        let field_start = self.lex.position();
        let name = self.lex.field_name().ok_or(Reason::ValOfNoField)?;
        let field = self.field(name, field_start)?;
        self.lex.blank();
        self.close_transform(Function::Val, vec![Argument::Operand(Operand::Field(field))], start)
    }
}
