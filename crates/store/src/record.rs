//! Notes which keys a transaction touches, for the tests that compare a command's key specs with what its handler does.
//! Only builds with debug assertions keep notes; in others every method here is empty.

#[cfg(debug_assertions)]
use std::cell::RefCell;

/// A key that was looked at or written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Touch {
    /// Database.
    pub db: usize,
    /// Key.
    pub key: Box<[u8]>,
    /// Whether it was made, changed or removed, or lent out for change.
    pub write: bool,
}

/// See the module's text.
#[derive(Default)]
pub struct Recorder {
    #[cfg(debug_assertions)]
    touches: Option<RefCell<Vec<Touch>>>,
}

impl Recorder {
    /// Begins to keep notes.
    pub fn start(&mut self) {
        #[cfg(debug_assertions)]
        {
            self.touches = Some(RefCell::default());
        }
    }

    /// The notes so far, each once and in no particular order; begins anew. None in builds that keep none.
    pub fn take(&self) -> Option<Vec<Touch>> {
        #[cfg(debug_assertions)]
        return self.touches.as_ref().map(|touches| touches.take());
        #[cfg(not(debug_assertions))]
        None
    }

    #[inline]
    pub(crate) fn note(&self, db: usize, key: &[u8], write: bool) {
        #[cfg(debug_assertions)]
        if let Some(touches) = &self.touches {
            let touch = Touch { db, key: key.into(), write };
            let mut touches = touches.borrow_mut();
            if !touches.contains(&touch) {
                touches.push(touch);
            }
        }
        #[cfg(not(debug_assertions))]
        let _ = (db, key, write);
    }
}
