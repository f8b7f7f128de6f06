using System.CommandLine;
using System.Text.RegularExpressions;
using k8s.Models;
using QueueMaaS.Commands;
using QueueMaaS.Configuration;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Messaging.Dispatch;
using QueueMaaS.Serving;

namespace QueueMaaS.Unit.Tests.Deployment;

/// <summary>The Kubernetes manifests, held against the program that they run.</summary>
public sealed partial class KubernetesTests
{
    public static TheoryData<string> Overlays => [.. Directory.GetDirectories(Path.Combine(Repository.Root, "deploy", "kubernetes", "overlays")).Select(folder => Path.GetFileName(folder))];

    [Fact]
    public void There_are_a_small_and_a_large_overlay() => Overlays.Select(row => row.Data).Order().ShouldBe(["large", "small"]);

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Every_object_is_of_a_known_type_in_one_namespace_and_named_once(string overlay)
    {
        var rendered = await RenderedOverlay.RenderAsync(overlay);
        rendered.Objects.Count.ShouldBe(20);
        var names = rendered.Objects.Select(item => (Kind: item.GetType().Name, Metadata: ((dynamic)item).Metadata as V1ObjectMeta)).ToArray();
        names.Select(item => $"{item.Kind}/{item.Metadata!.Name}").Distinct().Count().ShouldBe(names.Length);
        names.Where(item => item.Kind != nameof(V1Namespace)).ShouldAllBe(item => item.Metadata!.NamespaceProperty == "queuemaas");
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task The_roles_commands_ports_and_probes_are_the_programs_own(string overlay)
    {
        var rendered = await RenderedOverlay.RenderAsync(overlay);
        var settings = rendered.All<V1ConfigMap>().Single();
        var port = new Uri(settings.Data["Urls"]).Port;
        var roles = Roles.None;
        foreach (var deployment in rendered.Deployments)
        {
            var pod = deployment.Spec.Template.Spec;
            var container = pod.Containers.ShouldHaveSingleItem();
            foreach (var command in pod.Containers.Concat(pod.InitContainers))
                CommandLine.Create().Parse([.. command.Args]).Errors.ShouldBeEmpty();
            roles |= RolesText.Parse(container.Args[2]);
            container.Ports.ShouldHaveSingleItem().ContainerPort.ShouldBe(port);
            container.LivenessProbe.HttpGet.Path.ShouldBe("/health/live");
            container.StartupProbe.HttpGet.Path.ShouldBe("/health/live");
            container.ReadinessProbe.HttpGet.Path.ShouldBe("/health/ready");
            foreach (var probe in (V1Probe[])[container.LivenessProbe, container.StartupProbe, container.ReadinessProbe])
                ((string)probe.HttpGet.Port).ShouldBe(container.Ports[0].Name);
            // More than what a stop takes: the grace for jobs, and 30 s for closing.
            (pod.TerminationGracePeriodSeconds > 35).ShouldBeTrue();
            deployment.Spec.Template.Metadata.Annotations["prometheus.io/port"].ShouldBe($"{port}");
            container.EnvFrom.Single().ConfigMapRef.Name.ShouldBe(settings.Metadata.Name);
        }

        roles.ShouldBe(Roles.All, "every role has a deployment");
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Settings_and_secrets_have_names_that_the_program_knows(string overlay)
    {
        var rendered = await RenderedOverlay.RenderAsync(overlay);
        var known = SettingsCatalog.All.ToDictionary(setting => setting.Name.Replace(":", "__"));
        var settings = rendered.All<V1ConfigMap>().Single().Data;
        settings.Keys.Except(["Urls", "SecretsFolder"]).ShouldAllBe(name => known.ContainsKey(name));
        foreach (var deployment in rendered.Deployments)
        {
            var pod = deployment.Spec.Template.Spec;
            var secrets = pod.Volumes.Single(volume => volume.Secret is not null);
            pod.Containers[0].VolumeMounts.Single(mount => mount.Name == secrets.Name).MountPath.ShouldBe(settings["SecretsFolder"]);
            pod.Containers[0].VolumeMounts.ShouldContain(mount => mount.MountPath == settings["Storage__DataFolder"]);
            pod.Volumes.Where(volume => volume.PersistentVolumeClaim is not null).ShouldAllBe(volume => rendered.All<V1PersistentVolumeClaim>().Any(claim => claim.Metadata.Name == volume.PersistentVolumeClaim.ClaimName));
        }

        var key = rendered.All<TriggerAuthentication>().Single().Spec.SecretTargetRef.Single();
        known[key.Key].IsSecret.ShouldBeTrue();
        key.Name.ShouldBe(rendered.Deployments[0].Spec.Template.Spec.Volumes.Single(volume => volume.Secret is not null).Secret.SecretName);
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Containers_run_without_root_without_rights_and_on_a_read_only_file_system(string overlay)
    {
        foreach (var deployment in (await RenderedOverlay.RenderAsync(overlay)).Deployments)
        {
            var pod = deployment.Spec.Template.Spec;
            pod.SecurityContext.RunAsNonRoot.ShouldBe(true);
            pod.SecurityContext.SeccompProfile.Type.ShouldBe("RuntimeDefault");
            pod.AutomountServiceAccountToken.ShouldBe(false);
            foreach (var container in pod.Containers.Concat(pod.InitContainers))
            {
                container.SecurityContext.ReadOnlyRootFilesystem.ShouldBe(true);
                container.SecurityContext.AllowPrivilegeEscalation.ShouldBe(false);
                container.SecurityContext.Capabilities.Drop.ShouldBe(["ALL"]);
                container.Resources.Limits.ShouldContainKey("memory");
                container.Resources.Requests.ShouldContainKey("cpu");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Services_budgets_and_policies_select_pods_that_there_are(string overlay)
    {
        var rendered = await RenderedOverlay.RenderAsync(overlay);
        var pods = rendered.Deployments.Select(deployment => deployment.Spec.Template.Metadata.Labels).ToArray();
        foreach (var deployment in rendered.Deployments)
            Selects(deployment.Spec.Selector.MatchLabels, deployment.Spec.Template.Metadata.Labels).ShouldBeTrue();
        foreach (var service in rendered.All<V1Service>())
        {
            pods.Count(pod => Selects(service.Spec.Selector, pod)).ShouldBe(1, service.Metadata.Name);
            ((string)service.Spec.Ports.Single().TargetPort).ShouldBe("http");
        }

        rendered.All<V1PodDisruptionBudget>().Count.ShouldBe(rendered.Deployments.Count);
        foreach (var budget in rendered.All<V1PodDisruptionBudget>())
            pods.Count(pod => Selects(budget.Spec.Selector.MatchLabels, pod)).ShouldBe(1, budget.Metadata.Name);
        foreach (var policy in rendered.All<V1NetworkPolicy>())
            pods.Count(pod => Selects(policy.Spec.PodSelector.MatchLabels ?? new Dictionary<string, string>(), pod)).ShouldBeGreaterThan(0, policy.Metadata.Name);
        rendered.All<V1NetworkPolicy>().ShouldContain(policy => policy.Metadata.Name == "queuemaas-nothing" && policy.Spec.PolicyTypes.Count == 2 && policy.Spec.Ingress == null && policy.Spec.Egress == null);
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Workers_are_scaled_by_queues_and_metrics_that_there_are(string overlay)
    {
        var rendered = await RenderedOverlay.RenderAsync(overlay);
        var queues = Enum.GetValues<JobKind>().SelectMany(kind => Enum.GetValues<PriorityClass>().Select(priority => WorkQueues.Name(kind, priority))).ToArray();
        var documented = File.ReadAllText(Path.Combine(Repository.Root, "docs", "telemetry.md"));
        var kinds = Enum.GetNames<JobKind>().Select(kind => kind.ToLowerInvariant()).ToArray();
        rendered.All<ScaledObject>().Select(scaled => scaled.Spec.ScaleTargetRef.Name).Order().ShouldBe(["queuemaas-inference", "queuemaas-training"]);
        foreach (var scaled in rendered.All<ScaledObject>())
        {
            rendered.Deployments.ShouldContain(deployment => deployment.Metadata.Name == scaled.Spec.ScaleTargetRef.Name);
            (scaled.Spec.MinReplicaCount <= scaled.Spec.MaxReplicaCount).ShouldBeTrue();
            foreach (var trigger in scaled.Spec.Triggers)
            {
                if (trigger.Type == "rabbitmq")
                {
                    queues.ShouldContain(trigger.Metadata["queueName"]);
                    trigger.AuthenticationRef!.Name.ShouldBe(rendered.All<TriggerAuthentication>().Single().Metadata.Name);
                    continue;
                }

                trigger.Type.ShouldBe("prometheus");
                foreach (Match metric in Metric().Matches(trigger.Metadata["query"]))
                    documented.ShouldContain($"| `{metric.Value}` |");
                foreach (Match named in Kinds().Matches(trigger.Metadata["query"]))
                    named.Groups["kinds"].Value.Split('|').ShouldAllBe(kind => kinds.Contains(kind));
            }
        }

        // A training's message is gone while it runs: scaled by the queue's length alone, its worker would be taken away.
        rendered.All<ScaledObject>().Single(scaled => scaled.Metadata.Name == "queuemaas-training").Spec.Triggers.ShouldContain(trigger => trigger.Metadata.GetValueOrDefault("query", "").Contains("running"));
        rendered.All<ScaledObject>().Single(scaled => scaled.Metadata.Name == "queuemaas-training").Spec.MinReplicaCount.ShouldBe(0);
    }

    [Fact]
    public void A_field_that_is_spelled_wrong_is_found() =>
        Should.Throw<Exception>(() => RenderedOverlay.ReadAny("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: x\nspec:\n  maxUnavailible: 1\n"));

    private static bool Selects(IDictionary<string, string> selector, IDictionary<string, string> labels) => selector.All(entry => labels.TryGetValue(entry.Key, out var value) && value == entry.Value);

    [GeneratedRegex("queuemaas_[a-z_]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Metric();

    [GeneratedRegex("kind=~?\"(?<kinds>[^\"]+)\"", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Kinds();
}
