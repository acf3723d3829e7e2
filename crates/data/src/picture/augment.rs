//! Pictures changed a little, for more of them: shifted, turned, scaled, with noise.

use super::Picture;

/// How much a picture may be changed, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// To the right and down, as shares of the sides.
    pub shift: (f32, f32),
    /// Clockwise, in radians.
    pub turn: f32,
    /// Times as large.
    pub scale: f32,
}

impl Picture {
    /// The picture moved, turned round its middle and scaled, of the same size: bilinear between pixels, and beyond the edge
    /// what stands at it.
    pub fn changed(&self, change: &Change) -> Picture {
        let (wide, high) = (self.width as f32, self.height as f32);
        let (sin, cos) = change.turn.sin_cos();
        let scale = if change.scale > 0.0 { change.scale } else { 1.0 };
        let middle = ((wide - 1.0) / 2.0, (high - 1.0) / 2.0);
        let shift = (change.shift.0 * wide, change.shift.1 * high);
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..self.height {
            for x in 0..self.width {
                // Where the pixel comes from.
                let (dx, dy) = (x as f32 - middle.0 - shift.0, y as f32 - middle.1 - shift.1);
                let (from_x, from_y) = ((cos * dx + sin * dy) / scale, (cos * dy - sin * dx) / scale);
                pixels.extend(self.between(from_x + middle.0, from_y + middle.1));
            }
        }
        Picture { pixels, ..*self }
    }

    /// The colour at a place between pixels.
    fn between(&self, x: f32, y: f32) -> [u8; 3] {
        let inside = |place: f32, length: u32| place.clamp(0.0, (length - 1) as f32);
        let (x, y) = (inside(x, self.width), inside(y, self.height));
        let (left, top) = (x as u32, y as u32);
        let (across, down) = (x - left as f32, y - top as f32);
        let pixel = |x: u32, y: u32, channel: usize| {
            let at = (y.min(self.height - 1) * self.width + x.min(self.width - 1)) as usize;
            f32::from(self.pixels[3 * at + channel])
        };
        std::array::from_fn(|channel| {
            let row =
                |y: u32| pixel(left, y, channel) * (1.0 - across) + pixel(left + 1, y, channel) * across;
            (row(top) * (1.0 - down) + row(top + 1) * down).round() as u8
        })
    }

    /// The picture with another number, from -`most` to `most`, added to each channel of each pixel. `draw` gives numbers below
    /// its argument.
    pub fn noisy(mut self, most: u8, mut draw: impl FnMut(usize) -> usize) -> Picture {
        let most = i32::from(most);
        for channel in &mut self.pixels {
            let noise = draw(2 * most as usize + 1) as i32 - most;
            *channel = (i32::from(*channel) + noise).clamp(0, 255) as u8;
        }
        self
    }

    /// As a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
        let mut bytes = Vec::new();
        // Writing to memory does not fail, and the sizes are those of the pixels.
        let (width, height) = (self.width, self.height);
        let _ = PngEncoder::new(&mut bytes).write_image(&self.pixels, width, height, ExtendedColorType::Rgb8);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Bounds;

    fn dot() -> Picture {
        let mut pixels = vec![10; 3 * 7 * 5];
        pixels[3 * (7 + 2)] = 200;
        Picture::of_pixels(7, 5, pixels).unwrap()
    }

    #[test]
    fn whole_shifts_and_quarter_turns_move_pixels_as_they_are() {
        let picture = dot();
        assert_eq!(picture.changed(&Change { scale: 1.0, ..Change::default() }), picture);
        let red = |picture: &Picture, x: usize, y: usize| picture.pixels()[3 * (7 * y + x)];
        let shifted = picture.changed(&Change { shift: (2.0 / 7.0, 1.0 / 5.0), turn: 0.0, scale: 1.0 });
        assert_eq!((red(&shifted, 4, 2), red(&shifted, 2, 1)), (200, 10));
        // (2, 1) lies one to the left and one above the middle (3, 2): a quarter clockwise is one to the right and one above.
        let turned =
            picture.changed(&Change { shift: (0.0, 0.0), turn: std::f32::consts::FRAC_PI_2, scale: 1.0 });
        assert_eq!(red(&turned, 4, 1), 200);
    }

    #[test]
    fn noise_stays_within_its_bound_and_files_hold_what_they_were_made_of() {
        let mut state = 0usize;
        let noisy = dot().noisy(5, |below| {
            state = (state * 31 + 7) % 1009;
            state % below
        });
        assert_ne!(noisy, dot());
        assert!(noisy.pixels().iter().zip(dot().pixels()).all(|(a, b)| a.abs_diff(*b) <= 5));
        assert_eq!(Picture::decode(&noisy.to_png(), &Bounds::default()).unwrap(), noisy);
    }
}
