//! The name that is meant by one with a mistake in it.

/// How alike two names have to be for one to be meant by the other: from 0,
/// unlike, to 1, equal.
const ALIKE: f64 = 0.8;

/// The name of `known` that is most like `name`, if any is alike.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = known.into_iter().map(|other| (strsim::jaro(name, other), other));
    let alike = likeness.filter(|(likeness, _)| *likeness >= ALIKE);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, nearest)| nearest)
}
