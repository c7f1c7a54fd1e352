//! Finds the name that resembles a misspelled one.

/// The minimum similarity of a suggestion, from 0 (none) to 1 (equal).
const SIMILAR: f64 = 0.8;

/// The name in `known` that is most similar to `name`, if it is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|other| (strsim::jaro(name, other), other));
    let similar = scored.filter(|(score, _)| *score >= SIMILAR);
    similar.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, nearest)| nearest)
}
