//! Methods that a subclass, or a program, may have put others in the place of: those that go through them in
//! `multiprocessing` do so here, and those that nobody has touched take the quick way.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// A method of a native class.
pub struct Method {
    name: &'static str,
    own: PyOnceLock<(Py<PyString>, usize)>,
}

impl Method {
    /// The one of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, own: PyOnceLock::new() }
    }

    /// What `object`'s method is, if it is not the one of `class`, which `object` is an instance of.
    pub fn in_place<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        class: impl FnOnce() -> Bound<'py, PyType>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = object.py();
        let (name, own) = self.own.get_or_try_init(py, || {
            let name = PyString::intern(py, self.name);
            let bound = class().getattr(&name)?.call_method1("__get__", (object,))?;
            PyResult::Ok((name.unbind(), function(&bound)))
        })?;
        let found = object.getattr(name.bind(py))?;
        Ok((function(&found) != *own).then_some(found))
    }
}

/// Where the code of a native function is; 0 for what is none.
fn function(object: &Bound<'_, PyAny>) -> usize {
    // SAFETY: the interpreter's lock is held, and the object borrowed; what is asked is a native function, just checked.
    unsafe {
        if ffi::PyCFunction_Check(object.as_ptr()) == 0 {
            return 0;
        }
        ffi::PyCFunction_GetFunction(object.as_ptr()).map_or(0, |function| function as usize)
    }
}
