package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// What Linux tells of a process. Elsewhere there is no /proc, and what needs it
// says so or stays 0.

const (
	currentMemory = "VmRSS"
	peakMemory    = "VmHWM"
)

// memoryMB reads one figure of /proc/PID/status.
func memoryMB(pid, field string) (float64, error) {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name != field {
			continue
		}
		kB, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		return kB / 1024, err
	}
	return 0, fmt.Errorf("process %s has no %s", pid, field)
}

// resetPeak makes the peak the current memory again.
func resetPeak() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // else the peak is that of the whole run
}

// tick is the unit of a process's times: 100 a second on every Linux.
const tick = 10 * time.Millisecond

// cpuTime is what a process has used so far, in user and kernel mode.
func cpuTime(pid string) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime = 14 - 3, 15 - 3 // numbered from 1 in proc(5), and two have gone
	var total time.Duration
	for _, i := range []int{utime, stime} {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ticks) * tick
	}
	return total, nil
}
