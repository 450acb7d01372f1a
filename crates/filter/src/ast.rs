//! The syntax tree.

use std::borrow::Cow;
use std::sync::Arc;

use crate::Span;

/// A condition or a part of one.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// Where it was read from.
    pub span: Span,
}

/// What a (part of a) condition says.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// All of them hold; two or more.
    And(Vec<Expr>),
    /// At least one holds; two or more.
    Or(Vec<Expr>),
    /// It doesn't hold.
    Not(Box<Expr>),
    /// A bare word in the place of a condition: the name of a macro. The parser leaves it as it
    /// is; [`Expr::replace_names`] puts the macro in.
    Name(String),
    /// A macro put in the place of its name. The shared body lets whoever compiles conditions do
    /// so once for all uses.
    Macro {
        /// The macro's name.
        name: Arc<str>,
        /// Its condition.
        body: Arc<Expr>,
    },
    /// `field exists`
    Exists(Operand),
    /// `field operator value`
    Check(Box<Check>),
}

/// A comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Check {
    /// What is compared.
    pub left: Operand,
    /// How.
    pub operator: Operator,
    /// `oneof`, `anyof`, `allof` between a string operator and a list.
    pub modifier: Option<Modifier>,
    /// With what.
    pub right: Right,
}

/// The right side of a comparison.
#[derive(Clone, PartialEq, Debug)]
pub enum Right {
    /// One value: text or a number.
    Value(Literal),
    /// `(a, b, c)`
    List(Vec<Literal>),
    /// A bare word where a list is expected: the name of a list.
    Name(Literal),
    /// Another field, as `val(field)`, or a transformer over one.
    Operand(Operand),
}

/// Something that has a value when an event is at hand.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand {
    /// A field.
    Field(Field),
    /// A transformer, `tolower(field)`; on the right side also `val(field)`.
    Transform(Box<Transform>),
}

/// `name` or `name[argument]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Field {
    /// Dotted name.
    pub name: String,
    /// What stands in brackets.
    pub argument: Option<String>,
    /// Where.
    pub span: Span,
}

/// `function(arguments)` or `function(arguments)[index]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Transform {
    /// Which.
    pub function: Function,
    /// What it works on; at least one.
    pub arguments: Vec<Argument>,
    /// What stands in brackets after it.
    pub index: Option<String>,
    /// Where.
    pub span: Span,
}

/// What a transformer is given.
#[derive(Clone, PartialEq, Debug)]
pub enum Argument {
    /// A field or another transformer.
    Operand(Operand),
    /// A quoted text or a number.
    Value(Literal),
    /// `(a, b, c)`, possibly empty.
    List(Vec<Argument>),
}

/// A value as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Literal {
    /// Its bytes, escapes resolved: `"\xff"` need not be UTF-8.
    pub bytes: Vec<u8>,
    /// Whether it stood in quotes.
    pub quoted: bool,
    /// Where.
    pub span: Span,
}

impl Literal {
    /// As text; what isn't UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All of them, in the order in which the parser tries them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

words! {
    /// How a field is compared.
    Operator {
        /// At most.
        LessEqual = "<=",
        /// Less.
        Less = "<",
        /// At least.
        GreaterEqual = ">=",
        /// More.
        Greater = ">",
        /// Equal, written twice.
        DoubleEqual = "==",
        /// Equal.
        Equal = "=",
        /// Different.
        NotEqual = "!=",
        /// Shell pattern.
        Glob = "glob",
        /// Shell pattern, upper and lower case alike.
        IGlob = "iglob",
        /// Has the text in it.
        Contains = "contains",
        /// Has the text in it, upper and lower case alike.
        IContains = "icontains",
        /// Has the bytes, given in hexadecimal, in it.
        BContains = "bcontains",
        /// Begins with the text.
        StartsWith = "startswith",
        /// Begins with the bytes, given in hexadecimal.
        BStartsWith = "bstartswith",
        /// Ends with the text.
        EndsWith = "endswith",
        /// Regular expression over the whole value.
        Regex = "regex",
        /// Has an element in common with the list.
        Intersects = "intersects",
        /// Is one of the list.
        In = "in",
        /// Lies under one of the paths of the list.
        PMatch = "pmatch",
    }
}

impl Operator {
    /// `<= < >= >`: a number on the right.
    pub fn takes_number(self) -> bool {
        matches!(self, Operator::LessEqual | Operator::Less | Operator::GreaterEqual | Operator::Greater)
    }

    /// `in intersects pmatch`: a list on the right.
    pub fn takes_list(self) -> bool {
        matches!(self, Operator::Intersects | Operator::In | Operator::PMatch)
    }

    /// All names, `exists` first, in the order of Falco's messages.
    pub fn all_names() -> impl Iterator<Item = &'static str> {
        std::iter::once("exists").chain(Operator::ALL.iter().map(|operator| operator.as_str()))
    }
}

words! {
    /// How many of a list must satisfy a string operator.
    Modifier {
        /// Exactly one.
        OneOf = "oneof",
        /// One or more.
        AnyOf = "anyof",
        /// Each.
        AllOf = "allof",
    }
}

words! {
    /// What transforms a value.
    Function {
        /// The field itself, on the right side of a comparison.
        Val = "val",
        /// Lower case.
        ToLower = "tolower",
        /// Upper case.
        ToUpper = "toupper",
        /// Decodes base64.
        B64 = "b64",
        /// The last part of a path.
        Basename = "basename",
        /// Bytes of a text, elements of a list.
        Len = "len",
        /// Elements of a list with a separator between them.
        Join = "join",
        /// Texts one after another.
        Concat = "concat",
        /// Value of an option in a list of arguments.
        GetOpt = "getopt",
    }
}
