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

// Where proc(5) has a process's figures, counted from the one after its name.
const (
	statParent = 1
	statCPU    = 11 // user, system, and those of the children that have ended
)

func statFields(pid string) ([]string, error) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil, err
	}
	// The name, in brackets, may hold anything.
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])), nil
}

// cpuTime is what a process has used so far, in user and kernel mode.
func cpuTime(pid string) (time.Duration, error) { return sumCPU(pid, 2) }

func sumCPU(pid string, figures int) (time.Duration, error) {
	fields, err := statFields(pid)
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, figure := range fields[statCPU : statCPU+figures] {
		ticks, err := strconv.ParseInt(figure, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ticks) * tick
	}
	return total, nil
}

// familyCPU is what a process and its children have used, those that have ended too.
func familyCPU(pid string) (time.Duration, error) {
	total, err := sumCPU(pid, 4)
	if err != nil {
		return 0, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		fields, err := statFields(entry.Name())
		if err != nil || fields[statParent] != pid {
			continue // no process, or one that has just ended
		}
		used, err := cpuTime(entry.Name())
		if err == nil {
			total += used
		}
	}
	return total, nil
}
