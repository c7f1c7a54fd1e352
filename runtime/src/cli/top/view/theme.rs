//! Colors. Whatever a color says, a word or a shape says as well.

use ratatui::style::{Color, Style};

/// The colors, unless NO_COLOR turns them off.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Theme {
    pub(in super::super) is_colored: bool,
}

impl Theme {
    /// The style of an outcome, by its name.
    pub(super) fn outcome(self, name: &str) -> Style {
        self.color(match name {
            "response" => Color::Green,
            "deadline-exceeded" => Color::Yellow,
            "canceled" => Color::Magenta,
            _ => Color::Red,
        })
    }

    /// The style of a status of HTTP.
    pub(super) fn status(self, status: u16) -> Style {
        self.color(match status {
            0..400 => Color::Green,
            400..500 => Color::Yellow,
            _ => Color::Red,
        })
    }

    /// The style of a bar, by the share that is left or used.
    pub(super) fn share(self, share: f64, is_left: bool) -> Style {
        let used = if is_left { 1.0 - share } else { share };
        self.color(match used {
            0.0..0.75 => Color::Green,
            0.75..0.9 => Color::Yellow,
            _ => Color::Red,
        })
    }

    /// The style of a level of a log.
    pub(super) fn level(self, level: &str) -> Style {
        match level {
            "ERROR" => self.bad(),
            "WARN" => self.color(Color::Yellow),
            _ => self.quiet(),
        }
    }

    pub(super) fn title(self) -> Style {
        self.color(Color::Cyan).bold()
    }

    pub(super) fn bad(self) -> Style {
        self.color(Color::Red)
    }

    /// The style of what is less important.
    pub(super) fn quiet(self) -> Style {
        Style::new().dim()
    }

    pub(super) fn selected(self) -> Style {
        Style::new().reversed()
    }

    fn color(self, color: Color) -> Style {
        if self.is_colored { Style::new().fg(color) } else { Style::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colors_no_style_has_one() {
        let theme = Theme { is_colored: false };
        let styles = [
            theme.outcome("trap"),
            theme.status(500),
            theme.share(0.1, true),
            theme.level("ERROR"),
            theme.title(),
            theme.bad(),
            theme.quiet(),
            theme.selected(),
        ];
        assert!(styles.iter().all(|style| style.fg.is_none() && style.bg.is_none()));
        let colored = Theme { is_colored: true };
        assert_ne!(colored.outcome("trap"), colored.outcome("response"));
        assert_eq!(colored.share(0.05, true), colored.share(0.95, false));
    }
}
