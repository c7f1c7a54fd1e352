//! The configuration schema. Each setting is declared once, with its name,
//! type, default, unit, range and help. The program derives the keys of
//! `hourglass.toml`, the flags, the variables and `docs/configuration.md`.
//!
//! To add a setting, add it to a [`settings!`] declaration and use the field.
//! A limit of a function is declared in `limits`, and the settings of the
//! program in `cli::settings`.
//!
//! # Layout
//! - [`settings!`]: declares a struct of settings.
//! - `setting`: the description of one setting; settings from one source, and how
//!   sources merge.
//! - `unit`: how values are written, and the units.

#[cfg(feature = "cli")]
mod setting;
#[cfg(feature = "cli")]
mod unit;

#[cfg(feature = "cli")]
pub(crate) use self::{
    setting::{Partial, Schema, Setting},
    unit::{
        Address, Choice, Count, FilePath, Form, Notation, Period, Share, Size, Switch, Unit,
        UrlPath, ValueError, WebUrl,
    },
};

/// Declares a struct of settings.
///
/// ```ignore
/// settings! {
///     pub struct Limits {
///         /// The longest body of a request.
///         pub request_body: u64 = mib(10), Size::ANY;
///     }
/// }
/// ```
///
/// A field has a default and a [`Unit`](unit::Unit), which parses its values
/// and checks their range. A text behind them is shown in place of the default.
/// The first paragraph of a field's documentation is also its help.
///
/// The struct implements `Default` and, in the program, [`Schema`]. Without
/// the feature `cli` the units are not compiled.
macro_rules! settings {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $Name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field_vis:vis $field:ident: $Type:ty = $default:expr, $unit:expr $(, $shown:literal)?;
            )+
        }
    ) => {
        $(#[$attribute])*
        $vis struct $Name {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!("Default: `", stringify!($default), "`.")]
                $field_vis $field: $Type,
            )+
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        #[cfg(feature = "cli")]
        impl $crate::schema::Schema for $Name {
            const SETTINGS: &'static [$crate::schema::Setting<Self>] = &[
                $($crate::schema::Setting {
                    name: stringify!($field),
                    doc: &[$($doc),+],
                    form: || $crate::schema::Unit::form(&$unit),
                    #[cfg(test)]
                    range: || $crate::schema::Unit::range(&$unit),
                    default: || $crate::schema::settings!(@default $unit, $default $(, $shown)?),
                    set: |settings, text| {
                        settings.$field = $crate::schema::Unit::parse_os(&$unit, text)?.into();
                        Ok(())
                    },
                    copy: |from, to| to.$field = from.$field.clone(),
                }),+
            ];
        }
    };
    (@default $unit:expr, $default:expr) => {
        $crate::schema::Unit::show(&$unit, &$default)
    };
    (@default $unit:expr, $default:expr, $shown:literal) => {
        $shown.to_owned()
    };
}
pub(crate) use settings;
