//! The picture, and the order in which it is drawn.

use std::f64::consts::TAU;

use image::{Rgb, RgbImage};

/// The side of the first blocks in pixels. Each pass halves it, down to one.
const COARSEST: u32 = 64;
/// The number of iterations between two checks of the clock: a fraction of a millisecond.
const BETWEEN_LOOKS: u32 = 20_000;

/// The view: the whole set, with this many pixels and at most this many iterations for each.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// In pixels, at least 1.
    pub(crate) width: u32,
    /// In pixels, at least 1.
    pub(crate) height: u32,
    /// The maximum for one pixel.
    pub(crate) iterations: u32,
}

/// A picture that becomes more complete as it is drawn.
pub(crate) struct Picture {
    view: View,
    pixels: RgbImage,
    drawn: u32,
}

impl Picture {
    /// Creates an empty picture.
    pub(crate) fn new(view: View) -> Self {
        Self { view, pixels: RgbImage::new(view.width, view.height), drawn: 0 }
    }

    /// Returns the pixels drawn so far.
    pub(crate) fn pixels(&self) -> &RgbImage {
        &self.pixels
    }

    /// Returns the percentage of pixels that were computed. The others have the color of a
    /// neighbor.
    pub(crate) fn percent(&self) -> u32 {
        let all = u64::from(self.view.width) * u64::from(self.view.height);
        (u64::from(self.drawn) * 100 / all) as u32
    }

    /// Draws until the picture is complete or `stop` returns true. It is called at the start and
    /// then regularly.
    pub(crate) fn draw(&mut self, mut stop: impl FnMut() -> bool) {
        let mut since_look = BETWEEN_LOOKS;
        for (x, y, side) in self.view.blocks() {
            if since_look >= BETWEEN_LOOKS {
                since_look = 0;
                if stop() {
                    return;
                }
            }
            let point = self.view.point(x, y);
            since_look += point.iterations + 1;
            self.fill(x, y, side, point.colour(self.view.iterations));
        }
    }

    /// Fills a block with the color of its first pixel.
    fn fill(&mut self, x: u32, y: u32, side: u32, colour: Rgb<u8>) {
        for y in y..self.view.height.min(y + side) {
            for x in x..self.view.width.min(x + side) {
                self.pixels.put_pixel(x, y, colour);
            }
        }
        self.drawn += 1;
    }
}

impl View {
    /// Iterates over all blocks in drawing order: their first pixel and their side. Each pixel is
    /// the first of only one block, so none is computed twice.
    fn blocks(self) -> impl Iterator<Item = (u32, u32, u32)> {
        let sides = std::iter::successors(Some(COARSEST), |side| Some(side / 2).filter(|s| *s > 0));
        sides.flat_map(move |side| {
            let rows = (0..self.height).step_by(side as usize);
            let all = rows.flat_map(move |y| {
                (0..self.width).step_by(side as usize).map(move |x| (x, y, side))
            });
            let coarser = 2 * side;
            all.filter(move |(x, y, _)| side == COARSEST || x % coarser != 0 || y % coarser != 0)
        })
    }

    /// Computes one pixel. The set is centered near -0.75 and about three wide.
    fn point(self, x: u32, y: u32) -> Point {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let scale = (3.2 / width).max(2.4 / height);
        let re = (f64::from(x) - width / 2.0) * scale - 0.75;
        let im = (f64::from(y) - height / 2.0) * scale;

        let (mut a, mut b) = (0.0, 0.0);
        for iterations in 0..self.iterations {
            let (a2, b2) = (a * a, b * b);
            // Far outside the escape radius, where the colors have no visible steps.
            if a2 + b2 > 256.0 {
                return Point { iterations, distance: a2 + b2 };
            }
            b = 2.0 * a * b + im;
            a = a2 - b2 + re;
        }
        Point { iterations: self.iterations, distance: 0.0 }
    }
}

/// How a point escaped: after how many iterations, and how far (squared).
struct Point {
    iterations: u32,
    distance: f64,
}

impl Point {
    /// Black for a point that never escaped, otherwise a color that depends on the iterations.
    fn colour(&self, limit: u32) -> Rgb<u8> {
        if self.iterations == limit {
            return Rgb([0, 0, 0]);
        }
        let smooth = f64::from(self.iterations) + 4.0 - self.distance.ln().log2();
        let turn = (smooth + 1.0).sqrt() / 6.0;
        let wave = |phase: f64| (127.5 - 127.5 * (TAU * (turn + phase)).cos()) as u8;
        Rgb([wave(0.35), wave(0.25), wave(0.05)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View { width: 150, height: 101, iterations: 200 };

    /// Draws a picture that stops at the check with number `looks`.
    fn drawn(looks: u32) -> Picture {
        let mut picture = Picture::new(VIEW);
        let mut left = looks;
        picture.draw(|| {
            left -= 1;
            left == 0
        });
        picture
    }

    #[test]
    fn every_pixel_is_worked_out_once() {
        let mut firsts: Vec<_> = VIEW.blocks().map(|(x, y, _)| (y, x)).collect();
        firsts.sort_unstable();
        let all = (0..VIEW.height).flat_map(|y| (0..VIEW.width).map(move |x| (y, x)));
        assert!(firsts.into_iter().eq(all));
    }

    #[test]
    fn more_time_makes_another_picture() {
        let (hasty, longer, whole) = (drawn(2), drawn(5), drawn(u32::MAX));
        assert!(0 < hasty.percent() && hasty.percent() < longer.percent());
        assert_eq!(whole.percent(), 100);
        assert_ne!(hasty.pixels(), longer.pixels());
        assert_ne!(longer.pixels(), whole.pixels());
    }

    #[test]
    fn a_hasty_picture_has_no_holes() {
        let (width, height) = (300, 200);
        let mut picture = Picture::new(View { width, height, iterations: 20 });
        let firsts = width.div_ceil(COARSEST) * height.div_ceil(COARSEST);
        picture.pixels.pixels_mut().for_each(|pixel| *pixel = Rgb([1, 2, 3]));
        for (x, y, side) in picture.view.blocks().take(firsts as usize) {
            picture.fill(x, y, side, Rgb([0, 0, 0]));
        }
        assert!(picture.pixels().pixels().all(|pixel| *pixel == Rgb([0, 0, 0])));
    }

    #[test]
    fn the_set_is_black_and_the_rest_is_not() {
        let whole = drawn(u32::MAX);
        assert_eq!(*whole.pixels().get_pixel(75, 50), Rgb([0, 0, 0]));
        assert_ne!(*whole.pixels().get_pixel(0, 0), Rgb([0, 0, 0]));
    }
}
