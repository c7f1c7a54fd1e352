//! What is shown: the model, and what the user has chosen.

use std::collections::HashSet;
use std::time::Instant;

use super::cursor::Cursor;
use super::functions::{FunctionColumn, sorted};
use super::model::Model;
use super::model::live::{LiveOrder, LiveRow};
use super::model::load::FunctionLoad;
use super::model::requests::{List, RequestKey, key};
use crate::http::admin::client::answers::{FunctionDetails, Invocation, Recording, Summary};
use crate::http::admin::client::events::Event;
use crate::http::admin::client::text::Text;

/// The most collapsed invocations that are remembered.
const COLLAPSED: usize = 10_000;

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct State {
    pub(super) address: String,
    pub(super) model: Model,
    pub(super) tab: Tab,
    /// The selected row of each tab.
    pub(super) cursors: [Cursor<Item>; Tab::ALL.len()],
    pub(super) function_order: (FunctionColumn, bool),
    pub(super) live_order: (LiveOrder, bool),
    pub(super) collapsed: HashSet<u64>,
    /// Only rows that contain this text are shown.
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) detail: Option<Detail>,
    /// The result of the last action.
    pub(super) notice: Option<String>,
}

/// A list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Functions,
    Live,
    Requests(List),
}

/// The identity of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Function(Text),
    Invocation(u64),
    Request(RequestKey),
}

/// What keys mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Browse,
    /// They are typed into the filter.
    Filter,
    /// The user is asked whether to cancel this invocation.
    Confirm(u64),
    Help,
}

/// What is shown instead of a list.
#[derive(Debug)]
pub(super) enum Detail {
    Request { recording: Box<Recording>, cursor: Cursor<usize> },
    Function { details: Box<FunctionDetails>, offset: usize },
}

/// The result of a request to the host.
#[derive(Debug)]
pub(super) enum Answer {
    Requests(List, Vec<Summary>),
    Request(u64, Option<Recording>),
    Function(Text, Option<FunctionDetails>),
    Canceled(u64, usize),
    Failed(String),
}

impl Tab {
    pub(super) const ALL: [Self; 5] = [
        Self::Functions,
        Self::Live,
        Self::Requests(List::Recent),
        Self::Requests(List::Slowest),
        Self::Requests(List::Failed),
    ];

    pub(super) fn index(self) -> usize {
        Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Functions => "Functions",
            Self::Live => "Live",
            Self::Requests(List::Recent) => "Recent",
            Self::Requests(List::Slowest) => "Slowest",
            Self::Requests(List::Failed) => "Failed",
        }
    }
}

impl State {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            model: Model::default(),
            tab: Tab::Functions,
            cursors: Default::default(),
            function_order: (FunctionColumn::Rate, false),
            live_order: (LiveOrder::Id, false),
            collapsed: HashSet::new(),
            filter: String::new(),
            mode: Mode::Browse,
            detail: None,
            notice: None,
        }
    }

    /// Handles an event that arrived at a time.
    pub(super) fn apply(&mut self, event: Event, at: Instant) {
        self.model.apply(event, at);
        let live = &self.model.live;
        if self.collapsed.len() > COLLAPSED {
            self.collapsed.retain(|id| live.get(*id).is_some());
        }
        if let Mode::Confirm(id) = self.mode
            && live.get(id).is_none()
        {
            self.mode = Mode::Browse;
            self.notice = Some(format!("invocation {id} has ended"));
        }
    }

    /// Handles the result of an action.
    pub(super) fn answer(&mut self, answer: Answer) {
        let gone = |what: String| Some(format!("{what} is not kept any more"));
        match answer {
            Answer::Requests(list, requests) => self.model.requests.replace(list, requests),
            Answer::Request(_, Some(recording)) => {
                let cursor = Cursor::default();
                self.detail = Some(Detail::Request { recording: recording.into(), cursor });
            }
            Answer::Request(id, None) => self.notice = gone(format!("request {id}")),
            Answer::Function(_, Some(details)) => {
                self.detail = Some(Detail::Function { details: details.into(), offset: 0 });
            }
            Answer::Function(name, None) => {
                self.notice = Some(format!("function {name} is not deployed"));
            }
            Answer::Canceled(id, 0) => self.notice = Some(format!("invocation {id} has ended")),
            Answer::Canceled(id, 1) => self.notice = Some(format!("canceled invocation {id}")),
            Answer::Canceled(id, more) => {
                self.notice = Some(format!("canceled invocation {id}, and {} below it", more - 1));
            }
            Answer::Failed(reason) => self.notice = Some(reason),
        }
    }

    /// Whether something on the screen moves without an event.
    pub(super) fn is_moving(&self) -> bool {
        let is_shown = self.tab == Tab::Live && self.detail.is_none();
        is_shown && self.model.disconnected.is_none() && self.model.live.len() > 0
    }

    pub(super) fn function_rows(&self) -> Vec<&FunctionLoad> {
        let functions = self.model.load.functions.values();
        let fitting = functions.filter(|function| self.fits([Some(&function.overview.name)]));
        sorted(fitting.collect(), self.function_order)
    }

    pub(super) fn live_rows(&self) -> Vec<LiveRow<'_>> {
        let fits = |one: &Invocation| {
            let texts = [Some(&one.function), one.request_id.as_ref(), one.cause.as_ref()];
            self.fits(texts) || self.filter == one.id.to_string()
        };
        self.model.live.rows(self.live_order, &self.collapsed, fits)
    }

    pub(super) fn request_rows(&self, list: List) -> Vec<&Summary> {
        let requests = self.model.requests.list(list).iter().map(|request| &**request);
        let fits = |request: &&Summary| {
            let Summary { function, path, request_id, trace_id, outcome, cause, principal, .. } =
                request;
            let texts = [path, request_id, trace_id, cause, principal].map(Option::as_ref);
            self.fits(texts.into_iter().chain([Some(function), Some(outcome)]))
        };
        requests.filter(fits).collect()
    }

    /// The rows of the current list.
    pub(super) fn items(&self) -> Vec<Item> {
        match self.tab {
            Tab::Functions => {
                let rows = self.function_rows().into_iter();
                rows.map(|row| Item::Function(row.overview.name.clone())).collect()
            }
            Tab::Live => {
                let rows = self.live_rows().into_iter();
                rows.map(|row| Item::Invocation(row.invocation.id)).collect()
            }
            Tab::Requests(list) => {
                let rows = self.request_rows(list).into_iter();
                rows.map(|row| Item::Request(key(row))).collect()
            }
        }
    }

    /// The cursor of the current list.
    pub(super) fn cursor(&mut self) -> &mut Cursor<Item> {
        &mut self.cursors[self.tab.index()]
    }

    /// The selected row.
    pub(super) fn selected(&mut self) -> Option<Item> {
        let items = self.items();
        let index = self.cursor().settle(&items)?;
        items.into_iter().nth(index)
    }

    /// Whether one of these texts contains the filter, in any case.
    fn fits<'a>(&self, texts: impl IntoIterator<Item = Option<&'a Text>>) -> bool {
        let filter = self.filter.to_lowercase();
        filter.is_empty()
            || texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&filter))
    }
}
