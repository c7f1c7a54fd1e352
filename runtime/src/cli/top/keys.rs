//! What a key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::functions::FunctionColumn;
use super::model::live::{Children, LiveOrder};
use super::model::requests::List;
use super::state::{Detail, Item, Mode, State, Tab};
use super::view::waterfall;
use crate::http::admin::client::text::Text;

/// The rows of a page.
const PAGE: isize = 10;

/// The longest filter, in characters.
const LONGEST: usize = 100;

/// Something to do besides changing the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    Ask(Ask),
}

/// A request to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Cancel(u64),
    Requests(List),
    Request(u64),
    Function(Text),
}

/// Handles a key.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Action::Quit);
    }
    state.notice = None;
    match state.mode {
        Mode::Browse => browse(state, key.code),
        Mode::Filter => {
            edit(state, key.code);
            None
        }
        Mode::Confirm(id) => {
            state.mode = Mode::Browse;
            matches!(key.code, KeyCode::Char('y' | 'Y')).then_some(Action::Ask(Ask::Cancel(id)))
        }
        Mode::Help => {
            state.mode = Mode::Browse;
            (key.code == KeyCode::Char('q')).then_some(Action::Quit)
        }
    }
}

/// Keys of the filter's line.
fn edit(state: &mut State, key: KeyCode) {
    match key {
        KeyCode::Enter => state.mode = Mode::Browse,
        KeyCode::Esc => {
            state.filter.clear();
            state.mode = Mode::Browse;
        }
        KeyCode::Backspace => drop(state.filter.pop()),
        KeyCode::Char(char) if state.filter.chars().count() < LONGEST => state.filter.push(char),
        _ => {}
    }
}

fn browse(state: &mut State, key: KeyCode) -> Option<Action> {
    match key {
        KeyCode::Char('q') => return Some(Action::Quit),
        KeyCode::Char('?') => state.mode = Mode::Help,
        KeyCode::Tab => return turn(state, 1),
        KeyCode::BackTab => return turn(state, Tab::ALL.len() - 1),
        KeyCode::Char(digit @ '1'..='5') => return show(state, digit as usize - '1' as usize),
        _ if state.detail.is_some() => detail(state, key),
        _ => return list(state, key),
    }
    None
}

/// Shows the tab that comes this number of tabs later.
fn turn(state: &mut State, tabs: usize) -> Option<Action> {
    show(state, (state.tab.index() + tabs) % Tab::ALL.len())
}

fn show(state: &mut State, tab: usize) -> Option<Action> {
    state.detail = None;
    state.tab = *Tab::ALL.get(tab)?;
    load(state).map(Action::Ask)
}

/// What the current list needs from the host.
pub(super) fn load(state: &State) -> Option<Ask> {
    match state.tab {
        Tab::Requests(list) => Some(Ask::Requests(list)),
        Tab::Functions | Tab::Live => None,
    }
}

/// Keys of a page that is shown instead of a list.
fn detail(state: &mut State, key: KeyCode) {
    if matches!(key, KeyCode::Esc | KeyCode::Backspace | KeyCode::Left) {
        state.detail = None;
    }
    match &mut state.detail {
        Some(Detail::Request { recording, cursor }) => {
            let rows: Vec<_> = (0..waterfall::len(recording)).collect();
            match motion(key) {
                Some(Motion::By(count)) => cursor.step(&rows, count),
                Some(Motion::To(row)) => cursor.select(&rows, row),
                None => {}
            }
        }
        // The view limits the offset.
        Some(Detail::Function { offset, .. }) => match motion(key) {
            Some(Motion::By(count)) => *offset = offset.saturating_add_signed(count),
            Some(Motion::To(row)) => *offset = row,
            None => {}
        },
        None => {}
    }
}

/// Keys of a list.
fn list(state: &mut State, key: KeyCode) -> Option<Action> {
    if let Some(motion) = motion(key) {
        let items = state.items();
        match motion {
            Motion::By(count) => state.cursor().step(&items, count),
            Motion::To(row) => state.cursor().select(&items, row),
        }
        return None;
    }
    match key {
        KeyCode::Char('/') => state.mode = Mode::Filter,
        KeyCode::Esc => state.filter.clear(),
        KeyCode::Char('<' | ',') => sort(state, -1),
        KeyCode::Char('>' | '.') => sort(state, 1),
        KeyCode::Char('r') => reverse(state),
        KeyCode::Char('R') => return load(state).map(Action::Ask),
        KeyCode::Char('x') => match state.selected() {
            Some(Item::Invocation(id)) => state.mode = Mode::Confirm(id),
            _ => state.notice = Some("select an invocation in Live to cancel it".to_owned()),
        },
        KeyCode::Left => collapse(state, Some(true)),
        KeyCode::Right => collapse(state, Some(false)),
        KeyCode::Enter | KeyCode::Char(' ') => return open(state),
        _ => {}
    }
    None
}

/// Opens the selected row.
fn open(state: &mut State) -> Option<Action> {
    match state.selected()? {
        Item::Function(name) => return Some(Action::Ask(Ask::Function(name))),
        Item::Request((Some(id), _)) => return Some(Action::Ask(Ask::Request(id))),
        Item::Request((None, _)) => {
            state.notice = Some("it was refused before it ran".to_owned());
        }
        Item::Invocation(_) => collapse(state, None),
    }
    None
}

/// Hides or shows what is below the selected invocation; `None` toggles.
fn collapse(state: &mut State, hide: Option<bool>) {
    let Some(Item::Invocation(id)) = state.selected() else { return };
    let rows = state.live_rows();
    let row = rows.iter().find(|row| row.invocation.id == id);
    let is_hidden = match row.map(|row| row.children) {
        None | Some(Children::None) => return,
        Some(children) => children == Children::Hidden,
    };
    if hide.unwrap_or(!is_hidden) {
        state.collapsed.insert(id);
    } else {
        state.collapsed.remove(&id);
    }
}

/// Sorts by a column further left or right.
fn sort(state: &mut State, columns: isize) {
    fn next<T: Copy + PartialEq>(all: &[T], current: T, columns: isize) -> T {
        let index = all.iter().position(|one| *one == current).unwrap_or(0);
        all.get(index.saturating_add_signed(columns)).copied().unwrap_or(current)
    }
    match state.tab {
        Tab::Functions => {
            let column = next(&FunctionColumn::ALL, state.function_order.0, columns);
            state.function_order = (column, false);
        }
        Tab::Live => state.live_order = (next(&LiveOrder::ALL, state.live_order.0, columns), false),
        Tab::Requests(_) => {}
    }
}

fn reverse(state: &mut State) {
    match state.tab {
        Tab::Functions => state.function_order.1 ^= true,
        Tab::Live => state.live_order.1 ^= true,
        Tab::Requests(_) => {}
    }
}

/// A movement of a cursor.
enum Motion {
    By(isize),
    To(usize),
}

fn motion(key: KeyCode) -> Option<Motion> {
    Some(match key {
        KeyCode::Up | KeyCode::Char('k') => Motion::By(-1),
        KeyCode::Down | KeyCode::Char('j') => Motion::By(1),
        KeyCode::PageUp => Motion::By(-PAGE),
        KeyCode::PageDown => Motion::By(PAGE),
        KeyCode::Home | KeyCode::Char('g') => Motion::To(0),
        KeyCode::End | KeyCode::Char('G') => Motion::To(usize::MAX),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
