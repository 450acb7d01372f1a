//! Any tree, printed, reads back as the same tree; any text reads without a panic.

use lanner_filter::{
    Argument, Check, Expr, ExprKind, Field, Function, Literal, Modifier, Operand, Operator, Right, Span,
    Transform, parse,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn span() -> Span {
    Span::default()
}

fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: span() }
}

/// A word that the grammar can't take for a keyword.
fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_]{0,5}"
        .prop_filter("keyword", |word| !["and", "or", "not"].iter().any(|key| word.starts_with(key)))
}

fn quoted() -> impl Strategy<Value = Literal> {
    vec(any::<u8>(), 0..8).prop_map(|bytes| Literal { bytes, quoted: true, span: span() })
}

fn bare(pattern: &'static str) -> impl Strategy<Value = Literal> {
    pattern.prop_map(|text: String| Literal { bytes: text.into_bytes(), quoted: false, span: span() })
}

fn number() -> impl Strategy<Value = Literal> {
    bare("[+-]?[0-9]{1,3}(\\.[0-9]{0,2})?([eE][+-][0-9])?|0[xX][0-9a-fA-F]{1,4}")
}

fn text() -> impl Strategy<Value = Literal> {
    prop_oneof![quoted(), bare("[^ \\x00-\\x20()\"'=,]{1,8}"), bare("oneof|anyof|in|not|and")]
}

fn argument() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof!["[0-9a-z.\\\\/é]{1,5}", ".{0,5}"])
}

fn field() -> impl Strategy<Value = Field> {
    let name = vec(word(), 2..4).prop_map(|words| words.join("."));
    (name, argument()).prop_map(|(name, argument)| Field { name, argument, span: span() })
}

fn operand() -> impl Strategy<Value = Operand> {
    let functions: Vec<Function> =
        Function::ALL.iter().copied().filter(|function| *function != Function::Val).collect();
    field().prop_map(Operand::Field).prop_recursive(2, 8, 3, move |inner| {
        let single = prop_oneof![
            inner.clone().prop_map(Argument::Operand),
            quoted().prop_map(Argument::Value),
            number().prop_map(Argument::Value),
        ];
        let list = vec(single.clone(), 0..3).prop_map(Argument::List);
        let arguments = vec(prop_oneof![3 => single, 1 => list], 1..3);
        (select(functions.clone()), arguments, argument()).prop_map(|(function, arguments, index)| {
            Operand::Transform(Box::new(Transform { function, arguments, index, span: span() }))
        })
    })
}

fn right_operand() -> impl Strategy<Value = Right> {
    let val = field().prop_map(|field| {
        let arguments = vec![Argument::Operand(Operand::Field(field))];
        Operand::Transform(Box::new(Transform {
            function: Function::Val,
            arguments,
            index: None,
            span: span(),
        }))
    });
    let transform = operand().prop_filter("a field alone", |o| matches!(o, Operand::Transform(_)));
    prop_oneof![val, transform].prop_map(Right::Operand)
}

fn list() -> impl Strategy<Value = Right> {
    let name = word().prop_map(|w| Literal { bytes: w.into_bytes(), quoted: false, span: span() });
    prop_oneof![vec(text(), 0..4).prop_map(Right::List), name.prop_map(Right::Name)]
}

fn check() -> impl Strategy<Value = Check> {
    let of = |wanted: fn(Operator) -> bool| -> Vec<Operator> {
        Operator::ALL.iter().copied().filter(|operator| wanted(*operator)).collect()
    };
    let numbers = select(of(Operator::takes_number));
    let lists = select(of(Operator::takes_list));
    let texts = select(of(|operator| !operator.takes_number() && !operator.takes_list()));
    let compare = prop_oneof![
        (numbers, prop_oneof![number().prop_map(Right::Value), right_operand()])
            .prop_map(|(o, r)| (o, None, r)),
        (texts.clone(), prop_oneof![text().prop_map(Right::Value), right_operand()])
            .prop_map(|(o, r)| (o, None, r)),
        (texts, select(Modifier::ALL), list()).prop_map(|(o, m, r)| (o, Some(m), r)),
        (lists, prop_oneof![list(), right_operand()]).prop_map(|(o, r)| (o, None, r)),
    ];
    (operand(), compare).prop_map(|(left, (operator, modifier, right))| Check {
        left,
        operator,
        modifier,
        right,
    })
}

fn tree() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        4 => check().prop_map(|check| ExprKind::Check(Box::new(check))),
        1 => operand().prop_map(ExprKind::Exists),
        1 => word().prop_map(ExprKind::Name),
    ];
    leaf.prop_map(expr).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(ExprKind::And),
            vec(inner.clone(), 2..4).prop_map(ExprKind::Or),
            inner.prop_map(|inner| ExprKind::Not(Box::new(inner))),
        ]
        .prop_map(expr)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn printed_trees_read_back(tree in tree()) {
        let printed = tree.to_string();
        let mut read = parse(&printed).map_err(|e| TestCaseError::fail(format!("{printed}: {e}")))?;
        read.change_spans(&mut |place| *place = span());
        prop_assert_eq!(read, tree, "{}", printed);
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(text in "\\PC{0,40}|[ a-z.()=\"'\\[\\],<!]{0,60}") {
        match parse(&text) {
            Ok(tree) => {
                let printed = tree.to_string();
                prop_assert_eq!(parse(&printed).map(|again| again.to_string()), Ok(printed));
            }
            Err(error) => prop_assert!(error.position.offset as usize <= text.len()),
        }
    }
}

#[test]
fn a_macro_called_not_reads_back() {
    let printed = parse("not\x08or a").unwrap().to_string();
    assert_eq!(printed, "((not) or a)");
    assert_eq!(parse(&printed).map(|again| again.to_string()), Ok(printed));
}
