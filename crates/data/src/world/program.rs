//! Stub.
use super::page::Page;
pub(super) fn write(page: &mut Page) { let n = page.noun(); page.saying(n); page.scenery(n); }
