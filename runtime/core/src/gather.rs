//! Maps and sets of a few elements.

/// Inserts the items of an iterator into an empty collection. The `collect` of a map or set sorts first, which is no
/// faster for few elements and adds some kilobytes of code for each type to the download of a page.
pub fn gather<C: Default + Extend<T>, T>(all: impl IntoIterator<Item = T>) -> C {
    let mut gathered = C::default();
    gathered.extend(all);
    gathered
}
