//! The few methods that programs call most, without what PyO3 does around a method: that takes longer than they do.
//!
//! What goes through in one attempt is done here. All else, waiting, errors and odd arguments, goes the long way: the
//! method that PyO3 made, in whose place the one here is put when the module is made.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null_mut;

use pyo3::ffi::{self, Py_ssize_t, PyObject};
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{Borrowed, PyClass};

use crate::acquired::Acquired;
use crate::lock::Lock;
use crate::rlock::RLock;
use crate::wrappers::{Synchronized, SynchronizedBase};

/// A method and how it is given its arguments.
#[derive(Clone, Copy)]
enum Way {
    /// It takes none.
    None(ffi::PyCFunction),
    /// In a row.
    Row(ffi::PyCFunctionFast),
    /// In a row, the named ones last.
    Named(ffi::PyCFunctionFastWithKeywords),
}

impl Way {
    fn parts(self) -> (ffi::PyMethodDefPointer, c_int) {
        match self {
            Self::None(f) => (ffi::PyMethodDefPointer { PyCFunction: f }, ffi::METH_NOARGS),
            Self::Row(f) => (ffi::PyMethodDefPointer { PyCFunctionFast: f }, ffi::METH_FASTCALL),
            Self::Named(f) => (
                ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: f },
                ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ),
        }
    }
}

/// The long ways of one class.
pub struct Long {
    acquire: PyOnceLock<Py<PyAny>>,
    release: PyOnceLock<Py<PyAny>>,
    enter: PyOnceLock<Py<PyAny>>,
    exit: PyOnceLock<Py<PyAny>>,
}

impl Long {
    const fn new() -> Self {
        Self {
            acquire: PyOnceLock::new(),
            release: PyOnceLock::new(),
            enter: PyOnceLock::new(),
            exit: PyOnceLock::new(),
        }
    }
}

/// A class whose objects are taken and released.
trait Hot: PyClass<Frozen = True> + Sync {
    /// Takes it, if nothing stands in the way.
    fn take_now(&self, py: Python<'_>) -> bool;

    /// Gives it back, if nothing stands in the way.
    fn release_now(&self) -> bool;

    /// Its long ways.
    fn long() -> &'static Long;
}

/// `$lock` gives the lock, if it was made. Nothing is made here: a failure could not be raised.
macro_rules! hot {
    ($class:ty, $object:ident => $lock:expr) => {
        impl Hot for $class {
            #[inline]
            fn take_now(&self, py: Python<'_>) -> bool {
                let $object = self;
                $lock.is_some_and(|lock| lock.take_now(py))
            }

            #[inline]
            fn release_now(&self) -> bool {
                let $object = self;
                $lock.is_some_and(|lock| lock.release_now())
            }

            fn long() -> &'static Long {
                static LONG: Long = Long::new();
                &LONG
            }
        }
    };
}

hot!(Lock, lock => lock.inner.made());
hot!(RLock, lock => lock.inner.made());
hot!(SynchronizedBase, wrapper => Some(wrapper.lock()));

static GET_LOCK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static VALUE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Puts the methods here in the places of those that PyO3 made.
pub fn install(py: Python<'_>) -> PyResult<()> {
    install_lock::<Lock>(py)?;
    install_lock::<RLock>(py)?;
    install_lock::<SynchronizedBase>(py)?;
    let base = py.get_type::<SynchronizedBase>();
    method(&base, c"get_lock", Way::None(get_lock), &GET_LOCK)?;
    // A method of an object's own class is found sooner than one of a base.
    let class = py.get_type::<Synchronized>();
    method(&class, c"get_lock", Way::None(get_lock), &GET_LOCK)?;
    property(&class, c"value", get_value, set_value, &VALUE)
}

fn install_lock<T: Hot>(py: Python<'_>) -> PyResult<()> {
    let (class, long) = (py.get_type::<T>(), T::long());
    method(&class, c"acquire", Way::Named(acquire::<T>), &long.acquire)?;
    method(&class, c"release", Way::None(release::<T>), &long.release)?;
    method(&class, c"__enter__", Way::None(enter::<T>), &long.enter)?;
    method(&class, c"__exit__", Way::Row(exit::<T>), &long.exit)
}

/// Puts a method in the place of the one that is the long way.
fn method(
    class: &Bound<'_, PyType>,
    name: &'static CStr,
    way: Way,
    long: &PyOnceLock<Py<PyAny>>,
) -> PyResult<()> {
    let (py, old) = (class.py(), class.getattr(name.to_string_lossy().as_ref())?);
    let signature = old.getattr("__text_signature__")?.extract::<Option<String>>()?;
    let doc = old.getattr("__doc__")?.extract::<Option<String>>()?.unwrap_or_default();
    let name_text = name.to_string_lossy();
    let doc = format!("{name_text}{}\n--\n\n{doc}", signature.as_deref().unwrap_or("($self)"));
    let (ml_meth, ml_flags) = way.parts();
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth,
        ml_flags,
        ml_doc: leak(doc)?,
    }));
    // SAFETY: a class, and a definition that lives as long as the process.
    // SAFETY: what is returned is a new reference, or null with an exception set.
    let new = unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))?
    };
    put(class, name, old, &new, long)
}

/// The same for a property.
fn property(
    class: &Bound<'_, PyType>,
    name: &'static CStr,
    get: unsafe extern "C" fn(*mut PyObject, *mut c_void) -> *mut PyObject,
    set: unsafe extern "C" fn(*mut PyObject, *mut PyObject, *mut c_void) -> c_int,
    long: &PyOnceLock<Py<PyAny>>,
) -> PyResult<()> {
    let (py, old) = (class.py(), class.getattr(name.to_string_lossy().as_ref())?);
    let doc = old.getattr("__doc__")?.extract::<Option<String>>()?.unwrap_or_default();
    let definition = Box::leak(Box::new(ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: Some(set),
        doc: leak(doc)?,
        closure: null_mut(),
    }));
    // SAFETY: as in `method`.
    let new = unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewGetSet(class.as_type_ptr(), definition))?
    };
    put(class, name, old, &new, long)
}

fn put(
    class: &Bound<'_, PyType>,
    name: &CStr,
    old: Bound<'_, PyAny>,
    new: &Bound<'_, PyAny>,
    long: &PyOnceLock<Py<PyAny>>,
) -> PyResult<()> {
    // A module is made once: in another interpreter of this process PyO3 refuses to.
    let _ = long.set(class.py(), old.unbind());
    class.setattr(name.to_string_lossy().as_ref(), new)
}

fn leak(text: String) -> PyResult<*const c_char> {
    Ok(CString::new(text)?.into_raw().cast_const())
}

/// The token of a thread that the interpreter has called.
///
/// # Safety
///
/// The interpreter has, and waits for what is returned.
#[inline]
unsafe fn attached<'py>() -> Python<'py> {
    // SAFETY: by the caller's word.
    unsafe { Python::assume_attached() }
}

/// The object that a method was called on.
///
/// # Safety
///
/// It is one of this class: descriptors look at that before they call.
#[inline]
unsafe fn this<'a, 'py, T: PyClass>(py: Python<'py>, slf: *mut PyObject) -> Borrowed<'a, 'py, T> {
    // SAFETY: by the caller's word; and the caller of a method has a reference.
    unsafe { Borrowed::from_ptr(py, slf).cast_unchecked() }
}

/// Whether what `acquire` was given says nothing that would keep it from taking what is free.
///
/// # Safety
///
/// There are so many arguments.
#[inline]
unsafe fn are_plain(args: *const *mut PyObject, count: Py_ssize_t, names: *mut PyObject) -> bool {
    let is_number_or_none = |at: usize| {
        // SAFETY: by the caller's word; arguments are objects.
        unsafe {
            let one = *args.add(at);
            one == ffi::Py_None() || ffi::PyFloat_Check(one) != 0 || ffi::PyLong_Check(one) != 0
        }
    };
    names.is_null() && (count < 2 || count == 2 && is_number_or_none(1))
}

unsafe extern "C" fn acquire<T: Hot>(
    slf: *mut PyObject,
    args: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter calls, on an object of the class, and with so many arguments.
    unsafe {
        let py = attached();
        if are_plain(args, count, names) && this::<T>(py, slf).get().take_now(py) {
            return ffi::PyBool_FromLong(1);
        }
        long_way(&T::long().acquire, slf, args, count, names)
    }
}

unsafe extern "C" fn release<T: Hot>(slf: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        let py = attached();
        if this::<T>(py, slf).get().release_now() {
            return none();
        }
        long_way(&T::long().release, slf, null_mut(), 0, null_mut())
    }
}

unsafe extern "C" fn enter<T: Hot>(slf: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        let py = attached();
        if this::<T>(py, slf).get().take_now(py) {
            return ffi::PyBool_FromLong(1);
        }
        long_way(&T::long().enter, slf, null_mut(), 0, null_mut())
    }
}

unsafe extern "C" fn exit<T: Hot>(
    slf: *mut PyObject,
    args: *mut *mut PyObject,
    count: Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        let py = attached();
        if count <= 3 && this::<T>(py, slf).get().release_now() {
            return none();
        }
        long_way(&T::long().exit, slf, args, count, null_mut())
    }
}

unsafe extern "C" fn get_lock(slf: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        let py = attached();
        this::<SynchronizedBase>(py, slf).get().lock().object(py).into_ptr()
    }
}

unsafe extern "C" fn get_value(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: as in `acquire`.
    unsafe {
        let py = attached();
        let object = this::<Synchronized>(py, slf);
        let lock = object.as_super().get().lock();
        if let Some(number) = object.get().number()
            && lock.take_now(py)
        {
            let value = number.read();
            if lock.release_now() {
                return value.into_object();
            }
        }
        ended(|py| descriptor(py, &VALUE)?.call_method1("__get__", (bound(py, slf),)))
    }
}

unsafe extern "C" fn set_value(slf: *mut PyObject, value: *mut PyObject, _: *mut c_void) -> c_int {
    // SAFETY: as in `acquire`; a value that is null asks for the attribute to be deleted.
    unsafe {
        let py = attached();
        let object = this::<Synchronized>(py, slf);
        let lock = object.as_super().get().lock();
        if let Some(number) = object.get().number()
            && let Some(value) = number.fit(value)
            && lock.take_now(py)
        {
            number.write(value);
            if lock.release_now() {
                return 0;
            }
        }
        let done = ended(|py| {
            let descriptor = descriptor(py, &VALUE)?;
            if value.is_null() {
                return descriptor.call_method1("__delete__", (bound(py, slf),));
            }
            descriptor.call_method1("__set__", (bound(py, slf), bound(py, value)))
        });
        if done.is_null() {
            return -1;
        }
        ffi::Py_DecRef(done);
        0
    }
}

/// None, as a method returns it.
///
/// # Safety
///
/// The interpreter has called this thread.
#[inline]
unsafe fn none() -> *mut PyObject {
    // SAFETY: by the caller's word.
    unsafe {
        let none = ffi::Py_None();
        ffi::Py_INCREF(none);
        none
    }
}

/// # Safety
///
/// It is an object that somebody has a reference to.
unsafe fn bound(py: Python<'_>, object: *mut PyObject) -> Bound<'_, PyAny> {
    // SAFETY: by the caller's word.
    unsafe { Bound::from_borrowed_ptr(py, object) }
}

fn descriptor<'py>(
    py: Python<'py>,
    long: &'static PyOnceLock<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let missing = || pyo3::exceptions::PySystemError::new_err("the module is not made yet");
    Ok(long.get(py).ok_or_else(missing)?.bind(py).clone())
}

/// Calls the method that PyO3 made.
///
/// # Safety
///
/// As the interpreter calls a method.
#[cold]
unsafe fn long_way(
    long: &'static PyOnceLock<Py<PyAny>>,
    slf: *mut PyObject,
    args: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    ended(|py| {
        let count = usize::try_from(count)?;
        // SAFETY: so many arguments are there, and after them one for each name.
        let argument = |at| unsafe { bound(py, *args.add(at)) };
        // SAFETY: the object that the method is called on.
        let slf = unsafe { bound(py, slf) };
        let positional = std::iter::once(slf).chain((0..count).map(argument));
        let positional = PyTuple::new(py, positional.collect::<Vec<_>>())?;
        let named = PyDict::new(py);
        if !names.is_null() {
            // SAFETY: a tuple of names.
            let names = unsafe { bound(py, names) };
            for (at, name) in names.try_iter()?.enumerate() {
                named.set_item(name?, argument(count + at))?;
            }
        }
        descriptor(py, long)?.call(positional, Some(&named))
    })
}

/// What the interpreter is to get of a result: a new reference, or null with an exception set.
#[cold]
fn ended<'a>(f: impl FnOnce(Python<'_>) -> PyResult<Bound<'_, PyAny>> + 'a) -> *mut PyObject {
    Python::attach(|py| match f(py) {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(py);
            null_mut()
        }
    })
}
