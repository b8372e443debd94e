package import CrumbCUDATypes

/// The functions of the CUDA driver that Crumb calls, under their names in cuda.h without "cu".
///
/// A table comes from the driver's library or, in tests, from functions that play the driver. The functions return
/// the driver's result code, 0 for success; handles are opaque pointers, device memory is an integer address.
package struct DriverTable: Sendable {
    package typealias Code = Int32
    package typealias Handle = OpaquePointer
    package typealias NewHandle = UnsafeMutablePointer<Handle?>?
    package typealias Address = UInt64
    package typealias Number = UnsafeMutablePointer<Int32>?
    package typealias Size = UnsafeMutablePointer<Int>?
    package typealias Text = UnsafeMutablePointer<UnsafePointer<CChar>?>?
    package typealias Bytes = UnsafeMutableRawPointer?

    package typealias OnHandle = @convention(c) (Handle?) -> Code
    package typealias OnTwo = @convention(c) (Handle?, Handle?) -> Code
    package typealias MakeFlagged = @convention(c) (NewHandle, UInt32) -> Code

    package typealias NameOfDevice = @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32) -> Code

    // The driver and its devices.
    package let initialize: @convention(c) (UInt32) -> Code
    package let driverGetVersion: @convention(c) (Number) -> Code
    package let getErrorName: @convention(c) (Code, Text) -> Code
    package let getErrorString: @convention(c) (Code, Text) -> Code
    package let deviceGetCount: @convention(c) (Number) -> Code
    package let deviceGet: @convention(c) (Number, Int32) -> Code
    package let deviceGetName: NameOfDevice
    package let deviceGetAttribute: @convention(c) (Number, Int32, Int32) -> Code
    package let deviceGetPCIBusId: NameOfDevice
    package let deviceTotalMem: @convention(c) (Size, Int32) -> Code
    package let devicePrimaryCtxRetain: @convention(c) (NewHandle, Int32) -> Code
    package let devicePrimaryCtxRelease: @convention(c) (Int32) -> Code
    package let ctxSetCurrent: OnHandle

    // Memory.
    package let memGetInfo: @convention(c) (Size, Size) -> Code
    package let memAlloc: @convention(c) (UnsafeMutablePointer<Address>?, Int) -> Code
    package let memFree: @convention(c) (Address) -> Code
    package let memHostAlloc: @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>?, Int, UInt32) -> Code
    package let memFreeHost: @convention(c) (Bytes) -> Code
    package let memcpyHtoDAsync: @convention(c) (Address, UnsafeRawPointer?, Int, Handle?) -> Code
    package let memcpyDtoHAsync: @convention(c) (Bytes, Address, Int, Handle?) -> Code
    package let memcpyDtoDAsync: @convention(c) (Address, Address, Int, Handle?) -> Code
    package let memsetD8Async: @convention(c) (Address, UInt8, Int, Handle?) -> Code

    // Streams, events, graphs.
    package let streamCreate: MakeFlagged
    package let streamDestroy: OnHandle
    package let streamSynchronize: OnHandle
    package let streamWaitEvent: @convention(c) (Handle?, Handle?, UInt32) -> Code
    package let streamBeginCapture: @convention(c) (Handle?, UInt32) -> Code
    package let streamEndCapture: @convention(c) (Handle?, NewHandle) -> Code
    package let graphInstantiate: @convention(c) (NewHandle, Handle?, UInt64) -> Code
    package let graphGetNodes: @convention(c) (Handle?, NewHandle, Size) -> Code
    package let graphUpload: OnTwo
    package let graphLaunch: OnTwo
    package let graphDestroy: OnHandle
    package let graphExecDestroy: OnHandle
    package let eventCreate: MakeFlagged
    package let eventRecord: OnTwo
    package let eventQuery: OnHandle
    package let eventSynchronize: OnHandle
    package let eventElapsedTime: @convention(c) (UnsafeMutablePointer<Float>?, Handle?, Handle?) -> Code
    package let eventDestroy: OnHandle

    // Modules, kernels, launches.
    package let moduleLoadDataEx:
        @convention(c) (
            NewHandle, UnsafeRawPointer?, UInt32, UnsafeMutablePointer<UInt32>?,
            UnsafeMutablePointer<UnsafeMutableRawPointer?>?
        ) -> Code
    package let moduleUnload: OnHandle
    package let moduleGetFunction: @convention(c) (NewHandle, Handle?, UnsafePointer<CChar>?) -> Code
    package let funcLoad: OnHandle
    package let funcGetAttribute: @convention(c) (Number, Int32, Handle?) -> Code
    package let funcSetAttribute: @convention(c) (Handle?, Int32, Int32) -> Code
    package let funcGetParamInfo: @convention(c) (Handle?, Int, Size, Size) -> Code
    package let occupancyMaxActiveBlocks: @convention(c) (Number, Handle?, Int32, Int) -> Code
    package let occupancyMaxActiveClusters:
        @convention(c) (Number, Handle?, UnsafePointer<crumb_launch_configuration>?) -> Code
    package let launchKernelEx:
        @convention(c) (
            UnsafePointer<crumb_launch_configuration>?, Handle?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
            UnsafeMutablePointer<UnsafeMutableRawPointer?>?
        ) -> Code

    /// Looks every function up by its name in the library.
    ///
    /// - Parameter missing: the names that `address` does not know; the table must not be used unless it is empty.
    package init(missing: inout [String], _ address: @escaping (String) -> UnsafeMutableRawPointer?) {
        var symbol = SymbolReader(address)
        initialize = symbol("cuInit")
        driverGetVersion = symbol("cuDriverGetVersion")
        getErrorName = symbol("cuGetErrorName")
        getErrorString = symbol("cuGetErrorString")
        deviceGetCount = symbol("cuDeviceGetCount")
        deviceGet = symbol("cuDeviceGet")
        deviceGetName = symbol("cuDeviceGetName")
        deviceGetAttribute = symbol("cuDeviceGetAttribute")
        deviceGetPCIBusId = symbol("cuDeviceGetPCIBusId")
        deviceTotalMem = symbol("cuDeviceTotalMem_v2")
        devicePrimaryCtxRetain = symbol("cuDevicePrimaryCtxRetain")
        devicePrimaryCtxRelease = symbol("cuDevicePrimaryCtxRelease_v2")
        ctxSetCurrent = symbol("cuCtxSetCurrent")
        memGetInfo = symbol("cuMemGetInfo_v2")
        memAlloc = symbol("cuMemAlloc_v2")
        memFree = symbol("cuMemFree_v2")
        memHostAlloc = symbol("cuMemHostAlloc")
        memFreeHost = symbol("cuMemFreeHost")
        memcpyHtoDAsync = symbol("cuMemcpyHtoDAsync_v2")
        memcpyDtoHAsync = symbol("cuMemcpyDtoHAsync_v2")
        memcpyDtoDAsync = symbol("cuMemcpyDtoDAsync_v2")
        memsetD8Async = symbol("cuMemsetD8Async")
        streamCreate = symbol("cuStreamCreate")
        streamDestroy = symbol("cuStreamDestroy_v2")
        streamSynchronize = symbol("cuStreamSynchronize")
        streamWaitEvent = symbol("cuStreamWaitEvent")
        streamBeginCapture = symbol("cuStreamBeginCapture_v2")
        streamEndCapture = symbol("cuStreamEndCapture")
        graphInstantiate = symbol("cuGraphInstantiateWithFlags")
        graphGetNodes = symbol("cuGraphGetNodes")
        graphUpload = symbol("cuGraphUpload")
        graphLaunch = symbol("cuGraphLaunch")
        graphDestroy = symbol("cuGraphDestroy")
        graphExecDestroy = symbol("cuGraphExecDestroy")
        eventCreate = symbol("cuEventCreate")
        eventRecord = symbol("cuEventRecord")
        eventQuery = symbol("cuEventQuery")
        eventSynchronize = symbol("cuEventSynchronize")
        eventElapsedTime = symbol("cuEventElapsedTime")
        eventDestroy = symbol("cuEventDestroy_v2")
        moduleLoadDataEx = symbol("cuModuleLoadDataEx")
        moduleUnload = symbol("cuModuleUnload")
        moduleGetFunction = symbol("cuModuleGetFunction")
        funcLoad = symbol("cuFuncLoad")
        funcGetAttribute = symbol("cuFuncGetAttribute")
        funcSetAttribute = symbol("cuFuncSetAttribute")
        funcGetParamInfo = symbol("cuFuncGetParamInfo")
        occupancyMaxActiveBlocks = symbol("cuOccupancyMaxActiveBlocksPerMultiprocessor")
        occupancyMaxActiveClusters = symbol("cuOccupancyMaxActiveClusters")
        launchKernelEx = symbol("cuLaunchKernelEx")
        missing = symbol.missing
    }
}
