//! Hostile pictures and archives: no panic, one clear error each, and no more memory than the bounds allow, as an allocator counts it.

#[path = "common/mod.rs"]
mod common;
#[path = "common/damage.rs"]
mod damage;
#[path = "common/samples.rs"]
mod samples;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use common::Numbers;
use damage::damaged;
use data::ImageRef;
use data::picture::{Bounds, Picture, Unreadable};
use samples::{PICTURES, read_picture};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as above. Pages that nobody touches are not made.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What `run` gives, and the most bytes that it held beyond those held before.
fn counted<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let made = run();
    (made, PEAK.load(Ordering::Relaxed).saturating_sub(before))
}

/// Small, so that what does not keep to them stands out.
const BOUNDS: Bounds = Bounds { bytes: 1 << 22, pixels: 1 << 20, side: 1 << 14 };

/// What the reading of a picture may hold: the decoder's own, with sixteen bits a channel and four channels, twice where it is
/// turned upright; the copy of three bytes a pixel; the file; and what a PNG packs beside its pixels, in a vector that grows.
fn most(bytes: usize) -> usize {
    (8 + 8 + 4) * BOUNDS.pixels as usize + 3 * bytes + (16 << 20)
}

/// Reads a picture within the bound; an error is one line that says something.
fn read(name: &str, bytes: &[u8]) -> Result<(), Unreadable> {
    let (read, peak) = counted(|| read_picture(bytes, &BOUNDS));
    assert!(peak <= most(bytes.len()), "{name}: {peak} bytes were held, of a file of {}", bytes.len());
    if let Err(error) = &read {
        let text = error.to_string();
        assert!(text.contains("picture") && !text.contains('\n') && text.len() < 400, "{name}: {text}");
    }
    read
}

#[test]
fn a_thousand_mutated_files_of_each_format() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut numbers = Numbers(11);
    let mut refused = 0;
    for number in 0..1000 {
        for (which, valid) in PICTURES.iter().enumerate() {
            let count = 4 * (1 + numbers.below(6)) as usize;
            let edits: Vec<u8> = (0..count).map(|_| numbers.below(256) as u8).collect();
            let bytes = damaged(valid, &[&[0], edits.as_slice()].concat());
            refused += usize::from(read(&format!("{which}, {number}"), &bytes).is_err());
        }
    }
    assert!((1000..5000).contains(&refused), "{refused} of 5000 were refused");
}

#[test]
fn truncated_empty_and_foreign_files() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(read("nothing", b""), Err(Unreadable::Empty));
    for (name, bytes) in [
        ("text", b"a letter".as_slice()),
        ("a program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"),
        ("a bitmap", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0"),
        ("zeros", &[0; 4096]),
    ] {
        assert_eq!(read(name, bytes), Err(Unreadable::Format), "{name}");
    }
    for (which, valid) in PICTURES.iter().enumerate() {
        // The first bytes alone, and then more of the file; what ends a file says nothing of the picture.
        let cuts = (1..16).map(|part| valid.len() * part / 16).chain([4, 8, 12, valid.len() - 9]);
        for cut in cuts.filter(|cut| *cut + 8 < valid.len()) {
            assert!(read(&format!("{which} cut at {cut}"), &valid[..cut]).is_err(), "{which} cut at {cut}");
        }
    }
    let large = vec![0; BOUNDS.bytes + 1];
    let (read, peak) = counted(|| Picture::decode(&large, &BOUNDS));
    assert_eq!(read, Err(Unreadable::Bytes { bytes: large.len(), most: BOUNDS.bytes }));
    assert!(peak < 1000, "{peak}");
}

/// A chunk of a PNG.
fn chunk(kind: &[u8], content: &[u8]) -> Vec<u8> {
    let body = [kind, content].concat();
    let sum = !body.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    [&(content.len() as u32).to_be_bytes(), body.as_slice(), &sum.to_be_bytes()].concat()
}

/// A PNG of eight-bit grey that says so many pixels, with the content of its pixels and what stands before them.
fn png(width: u32, height: u32, before: &[u8], pixels: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let parts = [chunk(b"IHDR", &header), before.to_vec(), chunk(b"IDAT", pixels), chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1a\n".as_slice(), &parts.concat()].concat()
}

fn deflated(count: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 16];
    (0..count >> 16).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

#[test]
fn bombs_and_pictures_of_no_size() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let bomb = deflated(256 << 20);
    assert!(bomb.len() < 1 << 19);
    let small = deflated(1 << 16);
    assert!(read("a small one", &png(16, 16, b"", &small)).is_ok());
    assert!(read("one of the largest", &png(1024, 1024, b"", &deflated((1025 * 1024) + (1 << 16)))).is_ok());
    // More pixels than there is room for, and other chunks that unfold.
    let _ = read("pixels", &png(16, 16, b"", &bomb));
    let profile = chunk(b"iCCP", &[b"name\0\0", bomb.as_slice()].concat());
    let _ = read("profile", &png(16, 16, &profile, &small));
    let text = chunk(b"zTXt", &[b"name\0\0", bomb.as_slice()].concat());
    let _ = read("text", &png(16, 16, &text, &small));
    let text = chunk(b"iTXt", &[b"name\0\x01\0\0\0", bomb.as_slice()].concat());
    let _ = read("international text", &png(16, 16, &text, &small));
    let exif = chunk(b"eXIf", &[0xff; 1 << 20]);
    let _ = read("exif", &png(16, 16, &exif, &small));
    // Sizes: none, too large in all or along a side, larger than what is there.
    for (width, height) in [(0, 16), (16, 0), (0, 0), (1 << 31, 1 << 31), (1025, 1024), (1 << 15, 2)] {
        assert!(read("size", &png(width, height, b"", &small)).is_err(), "{width} × {height}");
    }
    assert!(read("missing pixels", &png(1024, 1024, b"", &deflated(1 << 16))).is_err());
    let with = |valid: &[u8], at: usize, bytes: &[u8]| {
        let mut whole = valid.to_vec();
        whole[at..at + bytes.len()].copy_from_slice(bytes);
        whole
    };
    let [jpeg, _, _, gif, webp] = PICTURES;
    // The frame of a JPEG: FF C0, length, bits, height, width.
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap() + 5;
    for size in [[0xff; 4], [0, 0, 0, 9], [0, 9, 0, 0], [0x3f, 0xff, 0, 60]] {
        let _ = read("jpeg", &with(jpeg, frame, &size));
    }
    assert!(read("jpeg", &with(jpeg, frame, &[0xff; 4])).is_err());
    // The screen of a GIF, and its first frame.
    assert!(read("gif", &with(gif, 6, &[0xff; 4])).is_err());
    assert!(read("gif", &with(gif, 6, &[0; 4])).is_err());
    let image = gif.iter().rposition(|byte| *byte == 0x2c).unwrap();
    let _ = read("gif frame", &with(gif, image + 1, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
    // The lengths of a WebP's chunks, and its sizes.
    for at in [4, 16, 23, 26] {
        let _ = read("webp", &with(webp, at, &[0xff; 4]));
    }
}

#[test]
fn an_archive_larger_than_memory_is_read_member_by_member() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.tar");
    let mut builder = tar::Builder::new(std::fs::File::create(&path).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    let picture = vec![7; 1 << 20];
    for number in 0..40 {
        add(&format!("{number:03}.png"), &picture);
        add(&format!("{number:03}.txt"), b"a caption");
    }
    builder.finish().unwrap();
    let (documents, peak) = counted(|| data::read_file(&path).unwrap());
    assert!(documents.len() == 40 && peak < 1 << 20, "{peak} bytes were held");
    let part = documents[3].images().next().unwrap();
    assert!(matches!(part, ImageRef::Part { length, .. } if *length == 1 << 20), "{part:?}");

    // A member that ends behind the archive's end, and a name that has none.
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..(1 << 20) - 5]).unwrap();
    assert!(data::read_file(&path).unwrap_err().to_string().contains("cut off"));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 24);
    header.set_cksum();
    std::fs::write(&path, [header.as_bytes().as_slice(), &vec![b'a'; 1 << 24], &whole].concat()).unwrap();
    let (read, peak) = counted(|| data::read_file(&path));
    let error = read.unwrap_err().to_string();
    assert!(error.contains("describe a member") && peak < 4 << 20, "{error}, {peak} bytes were held");
}
