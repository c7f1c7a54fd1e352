//! Keys, and what they do.

use std::time::Instant;

use super::*;
use crate::http::admin::client::answers::{Changes, Invocation};
use crate::http::admin::client::events::Event;

fn type_in(state: &mut State, keys: &str) -> Vec<Action> {
    let codes = keys.chars().map(|char| match char {
        '\n' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        '\t' => KeyCode::Tab,
        char => KeyCode::Char(char),
    });
    codes.filter_map(|code| press(state, KeyEvent::from(code))).collect()
}

/// Two trees: 1 above 3, and 2.
fn live() -> State {
    let one = |id, parent| Invocation { id, parent, function: "f".into(), ..Default::default() };
    let started = vec![one(1, None), one(2, None), one(3, Some(1))];
    let mut state = State::new("host:1".to_owned());
    state.apply(Event::Live(Changes { started, ..Changes::default() }), Instant::now());
    state.tab = Tab::Live;
    state
}

#[test]
fn a_cancellation_needs_a_yes() {
    let mut state = live();
    assert_eq!(type_in(&mut state, "jx"), []);
    assert_eq!(state.mode, Mode::Confirm(3));
    assert_eq!(type_in(&mut state, "n"), []);
    assert_eq!(type_in(&mut state, "x\u{1b}y"), []);
    assert_eq!(type_in(&mut state, "gxy"), [Action::Ask(Ask::Cancel(1))]);
    assert_eq!(state.mode, Mode::Browse);
}

#[test]
fn the_question_ends_with_its_invocation() {
    let mut state = live();
    type_in(&mut state, "x");
    let changes = Changes { ended: vec![1], ..Changes::default() };
    state.apply(Event::Live(changes), Instant::now());
    assert_eq!(state.mode, Mode::Browse);
    assert_eq!(state.notice.as_deref(), Some("invocation 1 has ended"));
    assert_eq!(type_in(&mut state, "y"), []);
}

#[test]
fn trees_collapse_and_expand() {
    let (mut state, len) = (live(), |state: &State| state.items().len());
    type_in(&mut state, "\n");
    assert_eq!(len(&state), 2);
    type_in(&mut state, " ");
    assert_eq!(len(&state), 3);
    press(&mut state, KeyCode::Left.into());
    press(&mut state, KeyCode::Left.into());
    assert_eq!(len(&state), 2);
    press(&mut state, KeyCode::Right.into());
    // It has nothing below it.
    type_in(&mut state, "G\n");
    assert_eq!((len(&state), state.collapsed.len()), (3, 0));
}

#[test]
fn a_filter_is_typed() {
    let mut state = live();
    assert_eq!(type_in(&mut state, "/q3"), []);
    assert_eq!((&*state.filter, &state.mode), ("q3", &Mode::Filter));
    press(&mut state, KeyCode::Home.into());
    press(&mut state, KeyCode::Backspace.into());
    press(&mut state, KeyCode::Backspace.into());
    type_in(&mut state, "3\n");
    assert_eq!(state.items(), [Item::Invocation(1), Item::Invocation(3)]);
    type_in(&mut state, "\u{1b}");
    assert_eq!(state.items().len(), 3);
    type_in(&mut state, &format!("/{}", "x".repeat(1_000)));
    assert_eq!(state.filter.len(), LONGEST);
}

#[test]
fn tabs_load_what_they_show() {
    let mut state = live();
    assert_eq!(type_in(&mut state, "\t"), [Action::Ask(Ask::Requests(List::Recent))]);
    assert_eq!(
        type_in(&mut state, "5R2"),
        [List::Failed; 2].map(|list| Action::Ask(Ask::Requests(list)))
    );
    press(&mut state, KeyCode::BackTab.into());
    assert_eq!(state.tab, Tab::Functions);
    assert_eq!(type_in(&mut state, "x\n"), []);
}

#[test]
fn columns_are_chosen() {
    let mut state = live();
    type_in(&mut state, "<>>r");
    assert_eq!(state.live_order, (LiveOrder::Age, true));
    type_in(&mut state, "1>>>>>>>>>>>>>>");
    assert_eq!(state.function_order, (FunctionColumn::Memory, false));
}

#[test]
fn it_quits() {
    let mut state = live();
    let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["", "x", "/", "?"] {
        type_in(&mut state, keys);
        assert_eq!(press(&mut state, control), Some(Action::Quit), "{keys}");
    }
    state.mode = Mode::Help;
    assert_eq!(type_in(&mut state, "q"), [Action::Quit]);
}
