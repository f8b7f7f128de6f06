using System.Runtime.InteropServices;
using QueueMaaS.Training.Runtime;
using Shouldly;
using Xunit;

namespace QueueMaaS.Training.Tests;

public sealed unsafe class OneDnnCachesTests
{
    [Theory]
    [InlineData(0x01C0003F, 0x0000003F, 32 * 1024)]
    [InlineData(0x01C0003F, 0x000007FF, 1024 * 1024)]
    [InlineData(0x03C0003F, 0x00007FFF, 32 * 1024 * 1024)]
    [InlineData(0, 0, 1)]
    public void A_cache_has_the_size_that_its_leaf_says(int ebx, int ecx, long expected) => OneDnnCaches.Size((0, ebx, ecx, 0)).ShouldBe(expected);

    /// <summary>Fails where an update of libtorch brings a oneDNN with another record, and where hidden sizes were not supplied.</summary>
    [Fact]
    public void OneDnn_computes_with_cache_sizes_that_can_be()
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64 && System.Runtime.Intrinsics.X86.Avx2.IsSupported, "oneDNN's record of an x64 processor");
        var (library, path) = LibTorch();
        var record = OneDnnCaches.Record(library, path);
        (record is null).ShouldBeFalse();
        var sizes = new ReadOnlySpan<uint>(record + OneDnnCaches.SizesAt, 3);
        sizes[0].ShouldBeInRange(16u * 1024, 256u * 1024);
        sizes[1].ShouldBeInRange(128u * 1024, 64u * 1024 * 1024);
        sizes[2].ShouldBeGreaterThanOrEqualTo(sizes[1]);
    }

    [Fact]
    public void A_library_without_the_record_is_seen_as_such()
    {
        var (library, path) = LibTorch();
        (OneDnnCaches.Record(library, Path.Combine(Path.GetDirectoryName(path)!, "libc10.so")) is null).ShouldBeTrue();
    }

    private static (nint Library, string Path) LibTorch()
    {
        TorchRuntime.EnsureLoaded();
        var path = File.ReadLines("/proc/self/maps").First(l => l.EndsWith("/libtorch_cpu.so", StringComparison.Ordinal));
        path = path[path.IndexOf('/', StringComparison.Ordinal)..];
        return (NativeLibrary.Load(path), path);
    }
}
