using System.Text;
using QueueMaaS.Training.Runtime;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Tests;

public sealed class ElfPatchTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static string Library => Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_name_is_replaced_the_version_made_weak_and_little_else_changes()
    {
        var original = File.ReadAllBytes(Library);
        var patched = (byte[])original.Clone();
        ElfPatch.Apply(patched);

        patched.Length.ShouldBe(original.Length);
        Occurrences(original, "_ZSt21ios_base_library_initv\0").ShouldBe(1);
        Occurrences(patched, "_ZSt21ios_base_library_initv\0").ShouldBe(0);
        Occurrences(patched, "_ZNSt8ios_base4InitC1Ev\0").ShouldBe(Occurrences(original, "_ZNSt8ios_base4InitC1Ev\0") + 1);
        // 28 bytes of the name, 2 of the symbol's version, 1 flag.
        Enumerable.Range(0, original.Length).Count(i => original[i] != patched[i]).ShouldBeInRange(20, 31);
    }

    [Fact]
    public void A_patched_library_is_not_patched_twice()
    {
        var bytes = File.ReadAllBytes(Library);
        ElfPatch.Apply(bytes);
        Should.Throw<InvalidDataException>(() => ElfPatch.Apply(bytes)).Message.ShouldContain("does not use the symbol");
    }

    [Fact]
    public void Other_files_and_damaged_ones_are_refused_and_never_crash()
    {
        Should.Throw<InvalidDataException>(() => ElfPatch.Apply([]));
        Should.Throw<InvalidDataException>(() => ElfPatch.Apply(Encoding.ASCII.GetBytes(new string('x', 500))));
        Should.Throw<InvalidDataException>(() => ElfPatch.Apply(File.ReadAllBytes(Library)[..100_000]));
    }

    [Fact]
    public void The_copy_is_made_once_repaired_when_damaged_and_the_original_left_alone()
    {
        var before = File.ReadAllBytes(Library);
        var copy = PatchedCopy.Of(Library, _folder.Root);
        var good = File.ReadAllBytes(copy);
        File.WriteAllText(copy, "damaged");
        PatchedCopy.Of(Library, _folder.Root).ShouldBe(copy);
        File.ReadAllBytes(copy).ShouldBe(good);
        File.ReadAllBytes(Library).ShouldBe(before);
        Directory.GetFiles(Path.GetDirectoryName(copy)!).ShouldBe([copy]);
    }

    [Fact]
    public void Several_at_once_end_with_one_whole_copy()
    {
        var copies = new string[8];
        Parallel.For(0, copies.Length, i => copies[i] = PatchedCopy.Of(Library, _folder.Root));
        copies.Distinct().Count().ShouldBe(1);
        Directory.GetFiles(Path.GetDirectoryName(copies[0])!).ShouldBe([copies[0]]);
    }

    [Fact]
    public void The_runtime_loads_as_often_as_asked_and_leaves_no_second_copy_of_libtorch()
    {
        TorchRuntime.EnsureLoaded();
        TorchRuntime.EnsureLoaded();
        using var model = BuiltModel.Build(ModelPresets.Create("cnn-small", 10), TensorShape.Image(3, 32, 32), seed: 0);
        model.ParameterCount.ShouldBe(122_570);
        Directory.Exists(Path.Combine(AppContext.BaseDirectory, "cpu")).ShouldBeFalse();
        Directory.GetFiles(AppContext.BaseDirectory, "libtorch_cpu.so", SearchOption.AllDirectories).ShouldBeEmpty();
    }

    private static int Occurrences(byte[] bytes, string text)
    {
        var needle = Encoding.ASCII.GetBytes(text);
        var count = 0;
        for (var at = bytes.AsSpan().IndexOf(needle); at >= 0;)
        {
            count++;
            var next = bytes.AsSpan(at + 1).IndexOf(needle);
            at = next < 0 ? -1 : at + 1 + next;
        }

        return count;
    }
}
