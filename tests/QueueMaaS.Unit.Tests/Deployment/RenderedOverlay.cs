using System.Diagnostics;
using k8s;
using k8s.Models;

namespace QueueMaaS.Unit.Tests.Deployment;

/// <summary>An overlay as <c>kubectl kustomize</c> renders it, each object read strictly into its type.</summary>
public sealed class RenderedOverlay
{
    private static readonly Dictionary<string, Func<string, object>> Readers = new()
    {
        ["v1/Namespace"] = Read<V1Namespace>,
        ["v1/ConfigMap"] = Read<V1ConfigMap>,
        ["v1/Service"] = Read<V1Service>,
        ["v1/ServiceAccount"] = Read<V1ServiceAccount>,
        ["v1/PersistentVolumeClaim"] = Read<V1PersistentVolumeClaim>,
        ["apps/v1/Deployment"] = Read<V1Deployment>,
        ["policy/v1/PodDisruptionBudget"] = Read<V1PodDisruptionBudget>,
        ["networking.k8s.io/v1/NetworkPolicy"] = Read<V1NetworkPolicy>,
        ["keda.sh/v1alpha1/ScaledObject"] = Read<ScaledObject>,
        ["keda.sh/v1alpha1/TriggerAuthentication"] = Read<TriggerAuthentication>,
    };

    private RenderedOverlay(IReadOnlyList<object> objects) => Objects = objects;

    public IReadOnlyList<object> Objects { get; }

    public IReadOnlyList<V1Deployment> Deployments => All<V1Deployment>();

    public IReadOnlyList<T> All<T>() => [.. Objects.OfType<T>()];

    public static async Task<RenderedOverlay> RenderAsync(string name)
    {
        var start = new ProcessStartInfo("kubectl", ["kustomize", Path.Combine(Repository.Root, "deploy", "kubernetes", "overlays", name)]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new InvalidOperationException("kubectl is needed: Debian's and Ubuntu's package `kubernetes-client`, or https://kubernetes.io/docs/tasks/tools. ./test.sh installs it.", exception);
        }

        using (process)
        {
            var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            process.ExitCode.ShouldBe(0, await errors);
            return new RenderedOverlay([.. (await output).Split("\n---\n").Select(ReadAny)]);
        }
    }

    /// <exception cref="InvalidOperationException">No type is known for it.</exception>
    public static object ReadAny(string yaml)
    {
        var lines = yaml.Split('\n');
        var type = $"{Value(lines, "apiVersion: ")}/{Value(lines, "kind: ")}";
        return Readers.TryGetValue(type, out var read) ? read(yaml) : throw new InvalidOperationException($"The test knows no type for {type}.");
    }

    private static string Value(string[] lines, string key) => lines.First(line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..].Trim();

    private static object Read<T>(string yaml)
        where T : notnull => KubernetesYaml.Deserialize<T>(yaml, strict: true);
}
