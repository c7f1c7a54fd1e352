//! Shrinks a picture: each new pixel is the average of the pixels that it replaces.

use std::ops::Range;

use hourglass_sdk::{Context, Done};
use image::{GenericImageView, Rgba, RgbaImage};

/// Shrinks a picture to a width, and its height in proportion. A narrower picture is unchanged.
///
/// # Errors
///
/// [`Done`] if the context is done, which is checked before each row.
pub(crate) fn to_width<P>(ctx: &Context, picture: &P, width: u32) -> Result<RgbaImage, Done>
where
    P: GenericImageView<Pixel = Rgba<u8>>,
{
    let width = width.min(picture.width());
    let height = scaled(picture.height(), width, picture.width()).max(1);
    let mut small = RgbaImage::new(width, height);
    for (y, row) in small.enumerate_rows_mut() {
        ctx.check()?;
        let rows = covered(y, height, picture.height());
        for (x, _, pixel) in row {
            *pixel = average(picture, covered(x, width, picture.width()), rows.clone());
        }
    }
    Ok(small)
}

/// Returns the range of `old` pixels in a line that the `at`th of `new` pixels covers; at least
/// one.
fn covered(at: u32, new: u32, old: u32) -> Range<u32> {
    let start = scaled(old, at, new);
    start..scaled(old, at + 1, new).max(start + 1)
}

/// Computes `length * part / whole`. The product may exceed 32 bits.
fn scaled(length: u32, part: u32, whole: u32) -> u32 {
    (u64::from(length) * u64::from(part) / u64::from(whole)) as u32
}

/// Returns the average of a rectangle of pixels, weighted by opacity. Otherwise the invisible color
/// of transparent pixels would show at the edges.
fn average<P>(picture: &P, columns: Range<u32>, rows: Range<u32>) -> Rgba<u8>
where
    P: GenericImageView<Pixel = Rgba<u8>>,
{
    let count = u64::from(columns.end - columns.start) * u64::from(rows.end - rows.start);
    let mut colour = [0_u64; 3];
    let mut seen = 0_u64;
    for y in rows {
        for x in columns.clone() {
            let Rgba([red, green, blue, alpha]) = picture.get_pixel(x, y);
            let alpha = u64::from(alpha);
            colour[0] += alpha * u64::from(red);
            colour[1] += alpha * u64::from(green);
            colour[2] += alpha * u64::from(blue);
            seen += alpha;
        }
    }
    let [red, green, blue] = colour.map(|sum| sum.checked_div(seen).unwrap_or(0) as u8);
    Rgba([red, green, blue, (seen / count) as u8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAR_RED: Rgba<u8> = Rgba([255, 0, 0, 0]);
    const WHITE: Rgba<u8> = Rgba([255; 4]);
    const BLACK: Rgba<u8> = Rgba([0, 0, 0, 255]);

    fn shrunk(picture: &RgbaImage, width: u32) -> RgbaImage {
        to_width(&Context::background(), picture, width).expect("background is never done")
    }

    #[test]
    fn pixels_are_averaged() {
        let stripes = RgbaImage::from_fn(4, 2, |x, _| if x % 2 == 0 { WHITE } else { BLACK });
        let small = shrunk(&stripes, 2);
        assert_eq!(small.dimensions(), (2, 1));
        assert!(small.pixels().all(|pixel| *pixel == Rgba([127, 127, 127, 255])));
    }

    #[test]
    fn what_cannot_be_seen_has_no_colour() {
        let half = RgbaImage::from_fn(2, 1, |x, _| if x == 0 { CLEAR_RED } else { BLACK });
        assert_eq!(*shrunk(&half, 1).get_pixel(0, 0), Rgba([0, 0, 0, 127]));
        let clear = RgbaImage::from_pixel(2, 2, CLEAR_RED);
        assert_eq!(*shrunk(&clear, 1).get_pixel(0, 0), Rgba([0; 4]));
    }

    #[test]
    fn every_pixel_is_covered_once() {
        for (new, old) in [(1, 1), (1, 9), (3, 7), (7, 9), (200, 8192)] {
            let covered: Vec<u32> = (0..new).flat_map(|at| covered(at, new, old)).collect();
            assert!(covered.into_iter().eq(0..old), "{new} of {old}");
        }
    }

    #[test]
    fn a_very_flat_picture_keeps_a_row() {
        let line = RgbaImage::from_pixel(400, 1, WHITE);
        assert_eq!(shrunk(&line, 10).dimensions(), (10, 1));
    }
}
