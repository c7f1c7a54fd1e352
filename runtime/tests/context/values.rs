//! Typed values and wire values.

use hourglass::{Context, Key};

const PRINCIPAL: Key<String> = Key::new("principal");
const ATTEMPT: Key<u32> = Key::new("attempt");

#[test]
fn wire_values_are_texts_nearest_first_without_shadowed_ones() {
    let context = Context::background()
        .with_value(&PRINCIPAL, "ada".to_owned())
        .with_value(&ATTEMPT, 1)
        .with_value(&Key::from_wire("colour".to_owned()), "blue")
        .with_value(&ATTEMPT, 2);
    let wire: Vec<_> = context.values().collect();
    let expected = [("attempt", "2"), ("colour", "blue"), ("principal", "ada")];
    assert_eq!(wire, expected.map(|(name, text)| (name, text.to_owned())));
    assert_eq!(context.value_text("principal").as_deref(), Some("ada"));
    assert_eq!(context.value_text("attempt").as_deref(), Some("2"));
    assert_eq!(context.value_text("unknown"), None);
}

#[test]
fn a_key_is_its_name_and_its_type() {
    let number = Key::<u32>::new("same");
    let text = Key::<String>::new("same");
    let context = Context::background().with_value(&number, 1).with_value(&text, "one".to_owned());
    assert_eq!(context.value(&number), Some(1));
    assert_eq!(context.value(&text).as_deref(), Some("one"));
    // The wire only has the name.
    assert_eq!(context.value_text("same").as_deref(), Some("one"));
    assert_eq!(context.values().count(), 1);

    let again = Key::<u32>::from_wire("same".to_owned());
    assert_eq!(context.value(&again), Some(1));
    assert_eq!(again.name(), "same");
}

#[test]
fn debugging_shows_names_only() {
    let context = Context::background().with_value(&PRINCIPAL, "secret".to_owned());
    let shown = format!("{context:?}");
    assert!(shown.contains("principal"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}
