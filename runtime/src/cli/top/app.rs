//! The loop: events and keys in, screens out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ratatui::crossterm::event::{Event as TerminalEvent, KeyEventKind};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use super::feed::{self, News};
use super::keys::{self, Action, Ask};
use super::screen::{self, Screen};
use super::state::{Answer, State};
use crate::cli::signals::Kind;
use crate::escape::OneLine;
use crate::http::admin::client::events::EventStream;
use crate::http::admin::client::{Client, ClientError};

/// How often bars that run down are drawn.
const TICK: Duration = Duration::from_millis(250);

/// The most news that wait. If the terminal is slower than the host, the host
/// waits.
const NEWS: usize = 16;

/// The most requests that the host has not answered.
const ASKED: usize = 8;

/// The program while it runs.
pub(super) struct App {
    client: Arc<Client>,
    screen: Screen,
    state: State,
    sender: Sender<News>,
    news: Receiver<News>,
    asked: JoinSet<()>,
}

/// What has happened.
enum Happened {
    Signal(Kind),
    Key(TerminalEvent),
    News(Box<News>),
    Tick,
}

impl App {
    pub(super) fn new(client: Arc<Client>, screen: Screen) -> Self {
        let (sender, news) = mpsc::channel(NEWS);
        let state = State::new(OneLine(&client.address).to_string());
        Self { client, screen, state, sender, news, asked: JoinSet::new() }
    }

    /// Runs until the user quits, or until a signal, which it returns.
    pub(super) async fn run(
        mut self,
        stream: EventStream,
        signal: impl Future<Output = Kind>,
    ) -> anyhow::Result<Option<Kind>> {
        let mut keys = screen::keys().context("the keys can't be read")?;
        let feed = feed::follow(self.client.clone(), stream, self.sender.clone());
        let mut feed = tokio::spawn(feed);
        let mut signal = std::pin::pin!(signal);
        loop {
            self.screen.draw(&mut self.state, Instant::now())?;
            let is_moving = self.state.is_moving();
            let happened = tokio::select! {
                biased;
                signal = &mut signal => Happened::Signal(signal),
                key = keys.recv() => {
                    Happened::Key(key.context("no more keys")?.context("the keys can't be read")?)
                }
                ended = &mut feed => {
                    ended.context("the reader of events has failed")?;
                    return Ok(None);
                }
                news = self.news.recv() => Happened::News(news.context("no more events")?.into()),
                () = tokio::time::sleep(TICK), if is_moving => Happened::Tick,
            };
            let action = match happened {
                Happened::Signal(signal) => return Ok(Some(signal)),
                // A change of the size only needs another drawing.
                Happened::Key(TerminalEvent::Key(key)) if key.kind != KeyEventKind::Release => {
                    keys::press(&mut self.state, key)
                }
                Happened::Key(_) | Happened::Tick => None,
                Happened::News(news) => self.hear(*news).map(Action::Ask),
            };
            match action {
                Some(Action::Quit) => return Ok(None),
                Some(Action::Ask(ask)) => self.ask(ask),
                None => {}
            }
        }
    }

    /// Handles news, and those that have arrived with it: they are drawn once.
    fn hear(&mut self, news: News) -> Option<Ask> {
        let mut ask = self.apply(news);
        for _ in 0..NEWS {
            let Ok(news) = self.news.try_recv() else { break };
            ask = self.apply(news).or(ask);
        }
        ask
    }

    fn apply(&mut self, news: News) -> Option<Ask> {
        match news {
            News::Event(event) => self.state.apply(event, Instant::now()),
            News::Answer(answer) => self.state.answer(answer),
            News::Disconnected(reason) => {
                self.state.model.disconnect(OneLine(reason).to_string());
            }
            News::Connected => {
                self.state.model.connect();
                return keys::load(&self.state);
            }
        }
        None
    }

    /// Asks the host, without waiting for its answer.
    fn ask(&mut self, ask: Ask) {
        while self.asked.try_join_next().is_some() {}
        if self.asked.len() >= ASKED {
            self.state.notice = Some("the host is slow to answer; try again later".to_owned());
            return;
        }
        let (client, sender) = (self.client.clone(), self.sender.clone());
        self.asked.spawn(async move {
            let failed = |error: ClientError| Answer::Failed(OneLine(error).to_string());
            let answer = answer(&client, ask).await.unwrap_or_else(failed);
            // Sending fails if the program has ended.
            let _ = sender.send(News::Answer(answer)).await;
        });
    }
}

async fn answer(client: &Client, ask: Ask) -> Result<Answer, ClientError> {
    Ok(match ask {
        Ask::Cancel(id) => Answer::Canceled(id, client.cancel(id).await?),
        Ask::Requests(list) => Answer::Requests(list, client.requests(list.name()).await?),
        Ask::Request(id) => Answer::Request(id, client.request(id).await?),
        Ask::Function(name) => {
            let all = client.functions().await?;
            let found = all.into_iter().find(|function| function.name == name);
            Answer::Function(name, found)
        }
    })
}
