//! A small map in the order of its keys.

use alloc::vec::Vec;

/// A map of few entries, whose keys mostly rise: a list in order. In a page's module a tree takes many times the code.
#[derive(Debug, Clone)]
pub(super) struct Ascending<K, V>(Vec<(K, V)>);

impl<K: Ord + Copy, V> Ascending<K, V> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, key: K) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, |(key, _)| *key)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(*key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(*key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.find(*key).is_ok()
    }

    /// Adds an entry, or replaces its value.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.find(key) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(*key).ok()?;
        let (_, value) = self.0.remove(at);
        if self.0.is_empty() {
            // Nothing is kept of a burst.
            self.0 = Vec::new();
        }
        Some(value)
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    pub(super) fn take(&mut self) -> Vec<(K, V)> {
        core::mem::take(&mut self.0)
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_and_stay_in_order() {
        let mut map = Ascending::new();
        for key in [3, 1, 4, 1, 5] {
            map.insert(key, key * 10);
        }
        map.insert(4, 44);
        assert_eq!(map.len(), 4);
        assert_eq!(map.get(&4), Some(&44));
        assert_eq!(map.get_mut(&2), None);
        assert!(map.contains_key(&5) && !map.contains_key(&0));
        assert_eq!(map.remove(&3), Some(30));
        assert_eq!(map.remove(&3), None);
        let entries: Vec<_> = map.iter().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(entries, [(1, 10), (4, 44), (5, 50)]);
        assert_eq!(map.values().sum::<i32>(), 104);
        assert_eq!(map.take(), [(1, 10), (4, 44), (5, 50)]);
        assert_eq!(map.len(), 0);
    }
}
