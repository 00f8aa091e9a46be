//go:build !linux

package db

import (
	"syscall"
	"time"
)

// limitSilence has nothing to set: the keepalives alone notice it here.
func limitSilence(syscall.RawConn, time.Duration) error { return nil }
