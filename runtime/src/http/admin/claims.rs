//! The deploys that are in progress: one for each function, and few in all.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// The most deploys at once. Each holds a module in memory, and compiles on all
/// cores.
pub(super) const MOST: usize = 2;

/// The functions that are being deployed.
#[derive(Debug, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<String>>>);

/// Held during the deploy of a function.
#[derive(Debug)]
pub(super) struct Claim {
    name: String,
    claims: Arc<Mutex<HashSet<String>>>,
}

/// Why a deploy can't begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occupied {
    /// The function is being deployed.
    Function,
    /// Other functions are.
    Host,
}

impl Claims {
    pub(super) fn claim(&self, name: &str) -> Result<Claim, Occupied> {
        let mut names = lock(&self.0);
        if names.contains(name) {
            return Err(Occupied::Function);
        }
        if names.len() >= MOST {
            return Err(Occupied::Host);
        }
        names.insert(name.to_owned());
        Ok(Claim { name: name.to_owned(), claims: self.0.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claims).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_claimed_once_and_few_are() {
        let claims = Claims::default();
        let claim = |name| claims.claim(name);
        let a = claim("a").expect("it is free");
        assert_eq!(claim("a").map(drop), Err(Occupied::Function));
        let b = claim("b").expect("it is free");
        assert_eq!(claim("c").map(drop), Err(Occupied::Host));
        assert_eq!(claim("b").map(drop), Err(Occupied::Function));
        drop(a);
        let _a = claim("a").expect("it is free again");
        drop(b);
        claim("c").expect("there is a place again");
    }
}
