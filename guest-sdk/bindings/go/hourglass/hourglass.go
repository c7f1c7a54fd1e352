//go:build wasip1

// Package hourglass gives a function access to its context, for Go on wasip1.
//
// As in a CGI script, a function's request is its standard input and its
// environment, and its response is its standard output. This package has the
// host functions beyond that. The reference is the documentation of the Rust
// crate hourglass-sdk, module abi.
package hourglass

import (
	"context"
	"time"
	"unsafe"
)

// The invocation's own context.
const own = 0

//go:wasmimport hourglass_v1 context_err
func contextErr(ctx uint32) int32

//go:wasmimport hourglass_v1 context_remaining
func contextRemaining(ctx uint32) int64

//go:wasmimport hourglass_v1 context_sleep
func contextSleep(ctx uint32, nanos int64) int32

//go:wasmimport hourglass_v1 context_cause
func contextCause(ctx uint32, room unsafe.Pointer, capacity uint32) int32

//go:wasmimport hourglass_v1 context_value
func contextValue(ctx uint32, name string, room unsafe.Pointer, capacity uint32) int32

// Err returns nil while the context is not done, and context.Canceled or
// context.DeadlineExceeded from then on.
func Err() error { return done(contextErr(own)) }

// Remaining returns the time until the deadline, and whether there is one.
func Remaining() (time.Duration, bool) {
	nanos := contextRemaining(own)
	return time.Duration(max(nanos, 0)), nanos >= 0
}

// Sleep waits for d, or until the context is done; then it returns Err. It
// blocks all goroutines. time.Sleep does not, but ignores the context.
func Sleep(d time.Duration) error { return done(contextSleep(own, int64(max(d, 0)))) }

// Cause returns why the context is done, or "" while it is not.
func Cause() string {
	text, _ := text(func(room unsafe.Pointer, capacity uint32) int32 {
		return contextCause(own, room, capacity)
	})
	return text
}

// Value returns the context's value with that name, such as "request-id", and
// whether there is one.
func Value(name string) (string, bool) {
	return text(func(room unsafe.Pointer, capacity uint32) int32 {
		return contextValue(own, name, room, capacity)
	})
}

func done(code int32) error {
	switch code {
	case -1:
		return context.Canceled
	case -2:
		return context.DeadlineExceeded
	}
	return nil
}

// text calls a function that fills a buffer, and again if it was too small.
func text(fill func(room unsafe.Pointer, capacity uint32) int32) (string, bool) {
	room := make([]byte, 128)
	for {
		length := fill(unsafe.Pointer(unsafe.SliceData(room)), uint32(len(room)))
		if length < 0 {
			return "", false
		}
		if int(length) <= len(room) {
			return string(room[:length]), true
		}
		room = make([]byte, length)
	}
}
