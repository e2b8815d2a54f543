//! Maps and sets of a few elements.

/// Puts what an iterator gives into an empty collection. The `collect` of a map or set sorts first, which is no faster for
/// few elements, and what is sorted costs whoever loads a page some kilobytes for each type.
pub fn gather<C: Default + Extend<T>, T>(all: impl IntoIterator<Item = T>) -> C {
    let mut gathered = C::default();
    gathered.extend(all);
    gathered
}
