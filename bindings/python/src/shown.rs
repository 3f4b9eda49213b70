//! Attributes of ours that a program's own may take the place of.

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::barrier::Barrier;
use crate::bounded::BoundedSemaphore;
use crate::condition::Condition;
use crate::event::Event;
use crate::lock::Lock;
use crate::queue::Queue;
use crate::rlock::RLock;
use crate::semaphore::Semaphore;

/// Shows what a property gives, until the program gives the object an attribute of that name: `multiprocessing`'s objects
/// have none there, and programs hang labels on them.
#[pyclass(frozen, module = "slipring._native")]
pub struct Shown {
    property: Py<PyAny>,
}

#[pymethods]
impl Shown {
    #[new]
    fn new(property: Py<PyAny>) -> Self {
        Self { property }
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: Option<&Bound<'py, PyAny>>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(instance) = instance else { return Ok(slf.as_any().clone()) };
        slf.get().property.bind(slf.py()).call_method1("__get__", (instance, owner))
    }

    #[getter]
    fn __doc__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.property.bind(py).getattr("__doc__")
    }
}

/// Has the native classes show what they would keep for themselves.
pub fn install(py: Python<'_>) -> PyResult<()> {
    show(&py.get_type::<Lock>(), "name")?;
    show(&py.get_type::<RLock>(), "name")?;
    show(&py.get_type::<Semaphore>(), "name")?;
    show(&py.get_type::<BoundedSemaphore>(), "name")?;
    show(&py.get_type::<BoundedSemaphore>(), "maxvalue")?;
    show(&py.get_type::<Condition>(), "name")?;
    show(&py.get_type::<Event>(), "name")?;
    show(&py.get_type::<Barrier>(), "name")?;
    show(&py.get_type::<Barrier>(), "_action")?;
    show(&py.get_type::<Barrier>(), "_timeout")?;
    show(&py.get_type::<Queue>(), "_capacity")?;
    show(&py.get_type::<Queue>(), "_unfinished")
}

fn show(class: &Bound<'_, PyType>, name: &str) -> PyResult<()> {
    let property = class.getattr(name)?.unbind();
    class.setattr(name, Shown { property })
}
