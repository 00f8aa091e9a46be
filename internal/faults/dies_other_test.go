//go:build !linux

package faults_test

import "syscall"

var diesWithTest *syscall.SysProcAttr
