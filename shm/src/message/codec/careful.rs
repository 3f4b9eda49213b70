//! A serializer around another one, which refuses what that one's format would deliver as another value. All else it passes on
//! unchanged, at no cost: it is gone when it is compiled.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::refusal::{Refusal, refuse};

/// What a format cannot express.
pub(super) trait Flaws {
    /// `Some(x)` is written as `x` is, so that what is written as nothing is `None` when it is read.
    const SOME_IS_ITS_VALUE: bool;
    /// A field is known by its place, so that after one that was left out each is taken for the one before it.
    const FIELDS_ARE_COUNTED: bool;
}

/// Serializes `value`, or refuses it.
#[inline]
pub(super) fn serialize<F: Flaws, T: Serialize + ?Sized, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Refuses::<F, T>::new(value).serialize(serializer)
}

/// A value that is refused where the format has flaws `F`.
pub(super) struct Refuses<'a, F, T: ?Sized> {
    value: &'a T,
    in_some: bool,
    flaws: PhantomData<F>,
}

impl<'a, F, T: ?Sized> Refuses<'a, F, T> {
    #[inline]
    pub(super) fn new(value: &'a T) -> Self {
        Self::within(value, false)
    }

    #[inline]
    fn within(value: &'a T, in_some: bool) -> Self {
        Self { value, in_some, flaws: PhantomData }
    }
}

impl<F: Flaws, T: Serialize + ?Sized> Serialize for Refuses<'_, F, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Careful::<F, S> { inner, in_some: self.in_some, flaws: PhantomData })
    }
}

/// The serializer.
struct Careful<F, S> {
    inner: S,
    /// The value is that of a `Some`.
    in_some: bool,
    flaws: PhantomData<F>,
}

impl<F: Flaws, S: Serializer> Careful<F, S> {
    /// Refuses what is written as nothing, where that would be read as `None`.
    #[inline]
    fn nothing(&self) -> Result<(), S::Error> {
        if F::SOME_IS_ITS_VALUE && self.in_some {
            return Err(S::Error::custom(refuse(Refusal::NothingInSome)));
        }
        Ok(())
    }
}

/// Values that have no others inside.
macro_rules! pass_on {
    ($($name:ident($type:ty);)*) => {$(
        #[inline]
        fn $name(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$name(value)
        }
    )*};
}

/// Values whose parts are serialized one by one.
macro_rules! begin {
    ($($name:ident($($argument:ident: $type:ty),*) -> $compound:ident;)*) => {$(
        #[inline]
        fn $name(self, $($argument: $type),*) -> Result<Self::$compound, S::Error> {
            self.inner.$name($($argument),*).map(Parts::of)
        }
    )*};
}

impl<F: Flaws, S: Serializer> Serializer for Careful<F, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<F, S::SerializeSeq>;
    type SerializeTuple = Parts<F, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<F, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<F, S::SerializeTupleVariant>;
    type SerializeMap = Parts<F, S::SerializeMap>;
    type SerializeStruct = Parts<F, S::SerializeStruct>;
    type SerializeStructVariant = Parts<F, S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        // Not nothing in the formats that are used: an empty array.
        serialize_unit_struct(&'static str);
    }

    begin! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant;
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.nothing()?;
        self.inner.serialize_none()
    }

    #[inline]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.nothing()?;
        self.inner.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Refuses::<F, T>::within(value, true))
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        // It is written as its value is.
        let value = Refuses::<F, T>::within(value, self.in_some);
        self.inner.serialize_newtype_struct(name, &value)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = Refuses::<F, T>::new(value);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// A value with parts that is being serialized.
pub(super) struct Parts<F, C> {
    inner: C,
    flaws: PhantomData<F>,
}

impl<F, C> Parts<F, C> {
    #[inline]
    fn of(inner: C) -> Self {
        Self { inner, flaws: PhantomData }
    }
}

/// Parts without names.
macro_rules! unnamed {
    ($($compound:ident $part:ident;)*) => {$(
        impl<F: Flaws, C: $compound> $compound for Parts<F, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn $part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.inner.$part(&Refuses::<F, T>::new(value))
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

unnamed! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

/// Fields, which have names, and may be left out.
macro_rules! fields {
    ($($compound:ident)*) => {$(
        impl<F: Flaws, C: $compound> $compound for Parts<F, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                self.inner.serialize_field(key, &Refuses::<F, T>::new(value))
            }

            #[inline]
            fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
                if F::FIELDS_ARE_COUNTED {
                    return Err(C::Error::custom(refuse(Refusal::LeftOut(key))));
                }
                self.inner.skip_field(key)
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl<F: Flaws, C: SerializeMap> SerializeMap for Parts<F, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(&Refuses::<F, T>::new(key))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&Refuses::<F, T>::new(value))
    }

    #[inline]
    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        self.inner.serialize_entry(&Refuses::<F, K>::new(key), &Refuses::<F, V>::new(value))
    }

    #[inline]
    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
