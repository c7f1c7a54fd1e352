#![doc = include_str!("interface.md")]

#[doc(inline)]
pub use hourglass_abi::code::{
    ABSENT, BODY_FAILED, CANCELED, DEADLINE_EXCEEDED, INVALID, RESERVED,
};
#[doc(inline)]
pub use hourglass_abi::limit::{
    FUNCTION_NAME as MAX_FUNCTION_NAME, HEAD as MAX_HEAD, QUOTE as MAX_QUOTE, VALUE as MAX_VALUE,
    VALUE_NAME as MAX_NAME,
};
#[doc(inline)]
pub use hourglass_abi::{MODULE, TYPED};
