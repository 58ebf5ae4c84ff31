//! Size classes: what slot an object of a given size and alignment gets.
//!
//! The 67 sizes, and the pages of a span of each, are those of Go's runtime (`sizeclasses.go`, there computed by
//! `mksizeclasses.go`). Class 0 stands for *large*: no slot fits, the object gets a span of its own.
//!
//! All sizes are multiples of 8, those above 1,024 of 128, so two small tables, one in each unit, turn a size into
//! its class with one load.
//!
//! What it costs, for slots of 128 bytes and more: rounding up to the class and the end of a span that no slot fills
//! take together at most a sixth of the memory (an object of 4,097 bytes is the worst off), the end of the span alone
//! at most a sixteenth. In smaller slots rounding takes at most 15 bytes.
//!
//! Alignment: slots begin at the start of a page, so a slot is aligned to every power of two, up to a page, that
//! divides its size. An object that asks for more than 8 bytes takes the next class whose size is a multiple of what
//! it asks for.

use super::arena::PAGE_SIZE;

/// The class of what has no slot size.
pub(crate) const LARGE: usize = 0;

pub(crate) use table::{CLASS_COUNT, MAX_SIZE, PAGES, SIZES};

/// The tables.
#[cfg(not(graphgc_loom))]
mod table {
    /// Number of classes, with class 0.
    pub(crate) const CLASS_COUNT: usize = 68;
    /// The largest slot.
    pub(crate) const MAX_SIZE: usize = 32 << 10;

    /// Bytes of a slot, by class.
    #[rustfmt::skip]
    pub(crate) static SIZES: [u32; CLASS_COUNT] = [
        0,
        8, 16, 24, 32, 48, 64, 80, 96, 112, 128,
        144, 160, 176, 192, 208, 224, 240, 256, 288, 320,
        352, 384, 416, 448, 480, 512, 576, 640, 704, 768,
        896, 1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688,
        3072, 3200, 3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912,
        8192, 9472, 9728, 10240, 10880, 12288, 13568, 14336, 16384, 18432,
        19072, 20480, 21760, 24576, 27264, 28672, 32768,
    ];

    /// Pages of a span, by class.
    #[rustfmt::skip]
    pub(crate) static PAGES: [u8; CLASS_COUNT] = [
        0,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 2, 1, 2, 1, 2, 1,
        3, 2, 3, 1, 3, 2, 3, 4, 5, 6,
        1, 7, 6, 5, 4, 3, 5, 7, 2, 9,
        7, 5, 8, 3, 10, 7, 4,
    ];
}

/// The tables in models: sixteen objects to a span, or four.
#[cfg(graphgc_loom)]
mod table {
    pub(crate) const CLASS_COUNT: usize = 3;
    pub(crate) const MAX_SIZE: usize = 128;
    pub(crate) static SIZES: [u32; CLASS_COUNT] = [0, 32, 128];
    pub(crate) static PAGES: [u8; CLASS_COUNT] = [0, 1, 1];
}

/// Up to here, sizes are looked up in units of `FINE`; beyond, in units of `COARSE`.
const FINE_MAX: usize = if MAX_SIZE < 1024 { MAX_SIZE } else { 1024 };
const FINE: usize = 8;
const COARSE: usize = 128;

static FINE_CLASSES: [u8; FINE_MAX / FINE + 1] = classes_of(0, FINE);
static COARSE_CLASSES: [u8; (MAX_SIZE - FINE_MAX) / COARSE + 1] = classes_of(FINE_MAX, COARSE);

/// The classes of `base`, `base + unit`, `base + 2 * unit` ... bytes.
const fn classes_of<const N: usize>(base: usize, unit: usize) -> [u8; N] {
    let mut classes = [0; N];
    let (mut index, mut class) = (0, 1);
    while index < N {
        while (SIZES[class] as usize) < base + index * unit {
            class += 1;
        }
        classes[index] = class as u8;
        index += 1;
    }
    classes
}

/// The smallest class with slots of at least `bytes` bytes that are aligned to `align`, a power of two; [`LARGE`] if
/// there is none.
#[inline]
pub(crate) const fn class_of(bytes: usize, align: usize) -> usize {
    debug_assert!(align.is_power_of_two());
    if bytes > MAX_SIZE || align > PAGE_SIZE {
        return LARGE;
    }
    let mut class = if bytes <= FINE_MAX {
        FINE_CLASSES[bytes.div_ceil(FINE)] as usize
    } else {
        COARSE_CLASSES[(bytes - FINE_MAX).div_ceil(COARSE)] as usize
    };
    // Ends at the last class if not before: its size is a multiple of every alignment up to a page.
    while SIZES[class] as usize & (align - 1) != 0 {
        class += 1;
    }
    class
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    fn size(class: usize) -> usize {
        SIZES[class] as usize
    }

    fn classes() -> std::ops::Range<usize> {
        1..CLASS_COUNT
    }

    #[test]
    fn tables_are_well_formed() {
        assert_eq!(size(CLASS_COUNT - 1), MAX_SIZE);
        for class in classes() {
            assert!(size(class) > size(class - 1));
            assert_eq!(size(class) % if size(class) > FINE_MAX { COARSE } else { FINE }, 0);
            assert!(usize::from(PAGES[class]) * PAGE_SIZE >= size(class));
        }
    }

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for bytes in 0..=MAX_SIZE {
            for align in [1, 2, 4, 8] {
                let class = class_of(bytes, align);
                assert!(size(class) >= bytes && class != LARGE);
                assert!(class == 1 || size(class - 1) < bytes, "{bytes} bytes in class {class}");
            }
        }
        for bytes in [MAX_SIZE + 1, MAX_SIZE * 2, usize::MAX] {
            assert_eq!(class_of(bytes, 8), LARGE);
        }
    }

    #[test]
    fn every_alignment_gets_the_smallest_class_that_serves_it() {
        for shift in 4..=13 {
            let align = 1 << shift;
            for bytes in (0..=MAX_SIZE).step_by(8) {
                let expected = classes().find(|class| size(*class) >= bytes && size(*class).is_multiple_of(align));
                assert_eq!(class_of(bytes, align), expected.unwrap(), "{bytes} bytes aligned to {align}");
            }
        }
        assert_eq!(class_of(8, PAGE_SIZE * 2), LARGE);
    }

    #[test]
    fn every_slot_is_aligned() {
        for class in classes() {
            let align = 1 << size(class).trailing_zeros().min(PAGE_SIZE.trailing_zeros());
            let slots = usize::from(PAGES[class]) * PAGE_SIZE / size(class);
            assert!(slots >= 1);
            assert!((0..slots).all(|slot| (slot * size(class)).is_multiple_of(align)));
        }
    }

    #[test]
    fn works_in_constants() {
        const CLASS: usize = class_of(40, 16);
        assert_eq!(size(CLASS), 48);
    }

    #[test]
    fn waste_is_bounded() {
        for class in classes() {
            let span = usize::from(PAGES[class]) * PAGE_SIZE;
            let slots = span / size(class);
            assert!((span - slots * size(class)) * 16 <= span, "class {class}: end of the span");
            let least = size(class - 1) + 1;
            if size(class) >= 128 {
                assert!((span - slots * least) * 6 <= span, "class {class}: together");
            } else {
                assert!(size(class) - least <= 15, "class {class}: rounding");
            }
        }
    }
}
