//! The retained versions of one function: the one that serves, a canary next to
//! it, and others.

use std::mem;
use std::sync::Arc;
use std::time::SystemTime;

/// The percentage of a version that gets all invocations.
pub(crate) const ALL: u8 = 100;

/// The versions of a function. `T` is what is kept of each.
pub(super) struct History<T> {
    current: Version<T>,
    /// It gets this percentage of the invocations.
    canary: Option<(Version<T>, u8)>,
    /// Those that do not serve. The one that served most recently is the last.
    others: Vec<Version<T>>,
}

/// A retained version.
pub(super) struct Version<T> {
    pub(super) id: Arc<str>,
    pub(super) deployed: SystemTime,
    /// The one that served when this one was deployed.
    before: Option<Arc<str>>,
    pub(super) kept: T,
}

/// Why a version can't serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unservable {
    /// It is not retained.
    Unknown,
    /// The one that served before is not retained.
    NoEarlier,
    /// There is no canary.
    NoCanary,
    /// The version that serves can't be its own canary.
    IsCurrent,
}

impl<T> Version<T> {
    fn new(id: Arc<str>, before: Option<Arc<str>>, kept: T) -> Self {
        Self { id, deployed: SystemTime::now(), before, kept }
    }
}

impl<T> History<T> {
    /// The history of a new function.
    pub(super) fn new(id: Arc<str>, kept: T) -> Self {
        let current = Version::new(id, None, kept);
        Self { current, canary: None, others: Vec::new() }
    }

    /// Adds a version, which serves from now on, and ends the canary. Returns the
    /// former version of that id.
    pub(super) fn deploy(&mut self, id: Arc<str>, kept: T) -> Option<T> {
        let former = match id == self.current.id {
            true => {
                let before = self.current.before.take();
                self.end_canary();
                Some(mem::replace(&mut self.current, Version::new(id, before, kept)))
            }
            false => {
                let former = self.take(&id);
                self.serve(Version::new(id, Some(self.current.id.clone()), kept));
                former
            }
        };
        former.map(|version| version.kept)
    }

    /// Adds a version as the canary, and ends the one before. Returns the former
    /// version of that id.
    pub(super) fn deploy_canary(
        &mut self,
        id: Arc<str>,
        kept: T,
        percent: u8,
    ) -> Result<Option<T>, Unservable> {
        if id == self.current.id {
            return Err(Unservable::IsCurrent);
        }
        let former = self.take(&id);
        self.end_canary();
        let version = Version::new(id, Some(self.current.id.clone()), kept);
        self.canary = Some((version, percent));
        Ok(former.map(|version| version.kept))
    }

    /// Sets the percentage of the canary. With [`ALL`] it serves alone.
    pub(super) fn weigh(&mut self, percent: u8) -> Result<(), Unservable> {
        let (version, _) = self.canary.take().ok_or(Unservable::NoCanary)?;
        match percent {
            ALL.. => self.serve(version),
            _ => self.canary = Some((version, percent)),
        }
        Ok(())
    }

    /// Serves a retained version. Without an id it ends the canary, or else
    /// serves the version that served when the present one was deployed.
    pub(super) fn roll_back(&mut self, id: Option<&str>) -> Result<(), Unservable> {
        let version = match id {
            Some(id) if *id == *self.current.id => {
                self.end_canary();
                return Ok(());
            }
            Some(id) => self.take(id).ok_or(Unservable::Unknown)?,
            None if self.end_canary() => return Ok(()),
            None => {
                let before = self.current.before.clone();
                before.and_then(|id| self.take(&id)).ok_or(Unservable::NoEarlier)?
            }
        };
        self.serve(version);
        Ok(())
    }

    /// Removes those that do not serve, except the `most` that served most
    /// recently.
    pub(super) fn trim(&mut self, most: usize) -> Vec<T> {
        let excess = self.others.len().saturating_sub(most);
        self.others.drain(..excess).map(|version| version.kept).collect()
    }

    fn serve(&mut self, version: Version<T>) {
        self.end_canary();
        self.others.push(mem::replace(&mut self.current, version));
    }

    /// Returns whether there was one.
    fn end_canary(&mut self) -> bool {
        let ended = self.canary.take().map(|(version, _)| self.others.push(version));
        ended.is_some()
    }

    /// Takes out a version other than the current one.
    fn take(&mut self, id: &str) -> Option<Version<T>> {
        let canary = self.canary.take_if(|(version, _)| *version.id == *id);
        let at = self.others.iter().position(|version| *version.id == *id);
        canary.map(|(version, _)| version).or_else(|| Some(self.others.remove(at?)))
    }

    /// The version that gets the invocations that the canary does not get.
    pub(super) fn current(&self) -> &Version<T> {
        &self.current
    }

    /// The canary with its percentage.
    pub(super) fn canary(&self) -> Option<(&Version<T>, u8)> {
        self.canary.as_ref().map(|(version, percent)| (version, *percent))
    }

    pub(super) fn into_versions(self) -> impl Iterator<Item = T> {
        let canary = self.canary.map(|(version, _)| version);
        let versions = [self.current].into_iter().chain(canary).chain(self.others);
        versions.map(|version| version.kept)
    }

    /// All versions with their percentages: those that serve, and then the others
    /// from the one that served most recently.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&Version<T>, u8)> {
        let canary = self.canary();
        let rest = ALL - canary.map_or(0, |(_, percent)| percent);
        let serving = [Some((&self.current, rest)), canary].into_iter().flatten();
        serving.chain(self.others.iter().rev().map(|version| (version, 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl History<()> {
        fn shown(&self) -> String {
            let shown = self.versions().map(|(version, percent)| match percent {
                0 => version.id.to_string(),
                percent => format!("{}={percent}", version.id),
            });
            shown.collect::<Vec<_>>().join(" ")
        }

        fn with(ids: &[&str]) -> Self {
            let mut history = Self::new(ids[0].into(), ());
            for id in &ids[1..] {
                history.deploy((*id).into(), ());
            }
            history
        }
    }

    #[test]
    fn a_rollback_serves_what_served_before_the_deploy() {
        let mut history = History::with(&["a", "b", "c"]);
        assert_eq!(history.shown(), "c=100 b a");
        history.roll_back(None).expect("b is retained");
        assert_eq!(history.shown(), "b=100 c a");
        // `c` was rolled back: `d` replaces `b`, and a rollback returns to that.
        history.deploy("d".into(), ());
        history.roll_back(None).expect("b is retained");
        assert_eq!(history.shown(), "b=100 d c a");
        history.roll_back(None).expect("a is retained");
        assert_eq!(history.roll_back(None), Err(Unservable::NoEarlier));
        assert_eq!(history.shown(), "a=100 b d c");
        history.roll_back(Some("c")).expect("it is retained");
        assert_eq!(history.shown(), "c=100 a b d");
        assert_eq!(history.roll_back(Some("x")), Err(Unservable::Unknown));
        history.roll_back(Some("c")).expect("it serves");
        assert_eq!(history.shown(), "c=100 a b d");
    }

    #[test]
    fn a_version_is_retained_once() {
        let mut history = History::with(&["a", "b"]);
        assert_eq!(history.deploy("b".into(), ()), Some(()));
        assert_eq!(history.shown(), "b=100 a");
        history.roll_back(None).expect("a served before the first deploy of b");
        assert_eq!(history.deploy("b".into(), ()), Some(()));
        assert_eq!(history.shown(), "b=100 a");
        assert_eq!(history.deploy_canary("a".into(), (), 5), Ok(Some(())));
        assert_eq!(history.shown(), "b=95 a=5");
        assert_eq!(history.deploy("a".into(), ()), Some(()));
        assert_eq!(history.shown(), "a=100 b");
    }

    #[test]
    fn a_canary_is_promoted_or_ended() {
        let mut history = History::with(&["a"]);
        assert_eq!(history.weigh(5), Err(Unservable::NoCanary));
        assert_eq!(history.deploy_canary("a".into(), (), 10), Err(Unservable::IsCurrent));
        history.deploy_canary("b".into(), (), 10).expect("another version");
        history.weigh(50).expect("there is one");
        assert_eq!(history.shown(), "a=50 b=50");
        history.roll_back(None).expect("there is one");
        assert_eq!(history.shown(), "a=100 b");
        history.deploy_canary("c".into(), (), 0).expect("another version");
        assert_eq!(history.shown(), "a=100 c b");
        history.weigh(100).expect("there is one");
        assert_eq!(history.shown(), "c=100 a b");
        history.deploy_canary("d".into(), (), 1).expect("another version");
        history.deploy_canary("e".into(), (), 2).expect("another version");
        assert_eq!(history.shown(), "c=98 e=2 d a b");
        history.deploy("f".into(), ());
        assert_eq!(history.shown(), "f=100 c e d a b");
        history.roll_back(None).expect("c is retained");
        assert_eq!(history.shown(), "c=100 f e d a b");
    }

    #[test]
    fn what_serves_is_not_removed() {
        let mut history = History::with(&["a", "b", "c", "d"]);
        history.deploy_canary("e".into(), (), 10).expect("another version");
        assert_eq!(history.trim(2).len(), 1);
        assert_eq!(history.shown(), "d=90 e=10 c b");
        assert_eq!(history.trim(0).len(), 2);
        assert_eq!(history.shown(), "d=90 e=10");
        history.roll_back(None).expect("there is a canary");
        assert_eq!(history.roll_back(None), Err(Unservable::NoEarlier));
    }
}
