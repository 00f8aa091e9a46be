package db

import (
	"cmp"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func limitSilence(conn syscall.RawConn, limit time.Duration) error {
	var err error
	controlErr := conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
	})
	return cmp.Or(controlErr, err)
}
