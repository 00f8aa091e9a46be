package faults_test

import "syscall"

// diesWithTest has the kernel kill a process, also a frozen one, when the thread that started it has ended: where the
// test panics, or is killed.
var diesWithTest = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
