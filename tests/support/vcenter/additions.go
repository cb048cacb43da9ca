// SPDX-License-Identifier: GPL-3.0-or-later

// What the simulator lacks of a vCenter, for restore points. It is built into a copy of the simulator in which the
// methods that are called Simulated… here have been renamed (tools/vcenter_simulator.sh).
//
// A machine's annotation stands for its disks: a revert brings the old one back, as it brings the rest of the machine's
// configuration. A revert to a snapshot without memory leaves the machine off, and tools run while it is on. What goes
// wrong is said by keys of the machine's extraConfig that begin with "double.".

package simulator

import (
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var (
	cancelMutex sync.Mutex
	cancels     = map[types.ManagedObjectReference]chan bool{}
)

// AddGuests gives every machine that is on running tools.
func AddGuests() {
	for _, one := range Map.All("VirtualMachine") {
		vm := one.(*VirtualMachine)
		vm.setGuest(vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn)
	}
}

func (vm *VirtualMachine) double(key string) string {
	said := ""
	for _, one := range vm.Config.ExtraConfig {
		if option := one.GetOptionValue(); option.Key == "double."+key {
			said = option.Value.(string) // the simulator adds a changed one to the old ones
		}
	}
	return said
}

func (vm *VirtualMachine) setGuest(on bool) {
	guest := &types.GuestInfo{
		ToolsRunningStatus:  string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning),
		ToolsVersionStatus2: string(types.VirtualMachineToolsVersionStatusGuestToolsCurrent),
		GuestState:          string(types.VirtualMachineGuestStateNotRunning),
	}
	switch {
	case vm.double("tools") == "absent":
		guest.ToolsVersionStatus2 = string(types.VirtualMachineToolsVersionStatusGuestToolsNotInstalled)
	case vm.double("tools") == "dead":
	case on:
		guest.ToolsRunningStatus = string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
		guest.GuestState = string(types.VirtualMachineGuestStateRunning)
	}
	vm.Guest = guest
}

func (vm *VirtualMachine) setPower(state types.VirtualMachinePowerState) {
	Map.Update(vm, []types.PropertyChange{
		{Name: "runtime.powerState", Val: state},
		{Name: "summary.runtime.powerState", Val: state},
	})
	vm.setGuest(state == types.VirtualMachinePowerStatePoweredOn)
}

// begin returns a task that is running, and is listed with the machine.
func (vm *VirtualMachine) begin(name string) *Task {
	task := CreateTask(vm, name, nil)
	Map.Update(task, []types.PropertyChange{{Name: "info.state", Val: types.TaskInfoStateRunning}})
	vm.RecentTask = append(vm.RecentTask, task.Self)
	return task
}

func (t *Task) end(result types.AnyType, fault types.BaseMethodFault) {
	changes := []types.PropertyChange{{Name: "info.state", Val: types.TaskInfoStateSuccess}, {Name: "info.result", Val: result}}
	if fault != nil {
		changes = []types.PropertyChange{
			{Name: "info.state", Val: types.TaskInfoStateError},
			{Name: "info.error", Val: types.LocalizedMethodFault{Fault: fault, LocalizedMessage: "the guest could not be quiesced"}},
		}
	}
	Map.Update(t, changes)
}

// CreateSnapshotTask makes a snapshot; "double.quiesce" has one that is to be quiesced fail, hang until it is
// cancelled, or be late: made when the key says so no more, whatever is cancelled.
func (vm *VirtualMachine) CreateSnapshotTask(ctx *Context, req *types.CreateSnapshot_Task) soap.HasFault {
	how := vm.double("quiesce")
	if !req.Quiesce || how == "" {
		return vm.SimulatedCreateSnapshot(req)
	}
	task := vm.begin("createSnapshot")
	switch how {
	case "fails":
		task.end(nil, &types.ApplicationQuiesceFault{})
	case "late":
		go func() {
			for late := true; late; time.Sleep(20 * time.Millisecond) {
				Map.WithLock(vm, func() { late = vm.double("quiesce") == "late" })
			}
			Map.WithLock(vm, func() {
				made := vm.SimulatedCreateSnapshot(req).(*methods.CreateSnapshot_TaskBody).Res.Returnval
				task.end(Map.Get(made).(*Task).Info.Result, nil)
			})
		}()
	case "hangs":
		stop := make(chan bool, 1)
		cancelMutex.Lock()
		cancels[task.Self] = stop
		cancelMutex.Unlock()
		go func() {
			<-stop
			task.end(nil, &types.RequestCanceled{})
		}()
	}
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: task.Self}}
}

// CancelTask cancels what can be cancelled.
func (t *Task) CancelTask(req *types.CancelTask) soap.HasFault {
	cancelMutex.Lock()
	defer cancelMutex.Unlock()
	if stop, ok := cancels[t.Self]; ok {
		stop <- true
		delete(cancels, t.Self)
		return &methods.CancelTaskBody{Res: new(types.CancelTaskResponse)}
	}
	return &methods.CancelTaskBody{Fault_: Fault("", new(types.NotSupported))}
}

// RevertToSnapshotTask puts back what stands for the disks, and leaves the machine off.
func (v *VirtualMachineSnapshot) RevertToSnapshotTask(req *types.RevertToSnapshot_Task) soap.HasFault {
	vm := Map.Get(v.Vm).(*VirtualMachine)
	if vm.double("revert") == "fails" {
		task := CreateTask(v, "revertToSnapshot", func(*Task) (types.AnyType, types.BaseMethodFault) {
			return nil, &types.FileFault{File: "disk-000001.vmdk"}
		})
		return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: task.Run()}}
	}
	answer := v.SimulatedRevertToSnapshot(req)
	Map.WithLock(vm, func() {
		vm.Config.Annotation = v.Config.Annotation
		vm.setPower(types.VirtualMachinePowerStatePoweredOff)
	})
	return answer
}

// RemoveSnapshotTask removes a snapshot. The simulator's own breaks off where the machine's state is on top of one that
// has no parent, while other snapshots are there.
func (v *VirtualMachineSnapshot) RemoveSnapshotTask(ctx *Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	vm := Map.Get(v.Vm).(*VirtualMachine)
	Map.WithLock(vm, func() {
		current := vm.Snapshot.CurrentSnapshot
		if current != nil && *current == req.This && findParentSnapshotInTree(vm.Snapshot.RootSnapshotList, req.This) == nil {
			vm.Snapshot.CurrentSnapshot = nil
		}
	})
	return v.SimulatedRemoveSnapshot(ctx, req)
}

// RenameSnapshot changes name and description.
func (v *VirtualMachineSnapshot) RenameSnapshot(req *types.RenameSnapshot) soap.HasFault {
	vm := Map.Get(v.Vm).(*VirtualMachine)
	Map.WithLock(vm, func() {
		item := findSnapshotInTree(vm.Snapshot.RootSnapshotList, v.Self)
		if req.Name != "" {
			item.Name = req.Name
		}
		if req.Description != "" {
			item.Description = req.Description
		}
	})
	return &methods.RenameSnapshotBody{Res: new(types.RenameSnapshotResponse)}
}

// PowerOnVMTask starts the machine and its tools; "double.power_on" has it fail once a file of a later state is read:
// when the annotation says so.
func (vm *VirtualMachine) PowerOnVMTask(ctx *Context, req *types.PowerOnVM_Task) soap.HasFault {
	if how := vm.double("power_on"); how != "" && how == vm.Config.Annotation {
		task := CreateTask(vm, "powerOn", func(*Task) (types.AnyType, types.BaseMethodFault) {
			return nil, &types.FileFault{File: "disk.vmdk"}
		})
		return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: task.Run()}}
	}
	answer := vm.SimulatedPowerOn(ctx, req)
	vm.setGuest(vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn)
	return answer
}

// PowerOffVMTask stops the machine and its tools.
func (vm *VirtualMachine) PowerOffVMTask(ctx *Context, req *types.PowerOffVM_Task) soap.HasFault {
	answer := vm.SimulatedPowerOff(ctx, req)
	vm.setGuest(vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn)
	return answer
}

// ShutdownGuest shuts the guest down, unless "double.shutdown" says that it takes no notice.
func (vm *VirtualMachine) ShutdownGuest(ctx *Context, req *types.ShutdownGuest) soap.HasFault {
	if vm.double("shutdown") == "ignored" {
		return &methods.ShutdownGuestBody{Res: new(types.ShutdownGuestResponse)}
	}
	answer := vm.SimulatedShutdownGuest(ctx, req)
	vm.setGuest(false)
	return answer
}

// FindAllByUuid returns every machine of that BIOS UUID, or instance UUID.
func (s *SearchIndex) FindAllByUuid(req *types.FindAllByUuid) soap.HasFault {
	found := []types.ManagedObjectReference{}
	for _, one := range Map.All("VirtualMachine") {
		vm := one.(*VirtualMachine)
		uuid := vm.Config.Uuid
		if req.InstanceUuid != nil && *req.InstanceUuid {
			uuid = vm.Config.InstanceUuid
		}
		if strings.EqualFold(uuid, req.Uuid) {
			found = append(found, vm.Self)
		}
	}
	return &methods.FindAllByUuidBody{Res: &types.FindAllByUuidResponse{Returnval: found}}
}
