using QueueMaaS.Behaviour.Tests.Cases;
using QueueMaaS.Behaviour.Tests.Setup;

namespace QueueMaaS.Behaviour.Tests;

// The same cases, run against the embedded default and against real servers.
[CollectionDefinition("embedded")]
public sealed class EmbeddedCollection : ICollectionFixture<EmbeddedService>;

[CollectionDefinition("servers")]
public sealed class ServersCollection : ICollectionFixture<ServersService>;

[Collection("embedded")]
public sealed class Embedded_jobs(EmbeddedService service) : JobCases(service);

[Collection("embedded")]
public sealed class Embedded_bus(EmbeddedService service) : BusCases(service);

[Collection("embedded")]
public sealed class Embedded_eager_start(EmbeddedService service) : EagerStartCases(service);

[Collection("servers")]
public sealed class Servers_eager_start(ServersService service) : EagerStartCases(service);

// By default these jobs start where they are accepted; here each takes the long way.
public sealed class Embedded_bus_by_the_queue(EmbeddedQueueService service) : BusCases(service), IClassFixture<EmbeddedQueueService>;

public sealed class Servers_bus_by_the_queue(ServersQueueService service) : BusCases(service), IClassFixture<ServersQueueService>;

[Collection("embedded")]
public sealed class Embedded_hostile_models(EmbeddedService service) : HostileModelCases(service);

[Collection("embedded")]
public sealed class Embedded_open_inference(EmbeddedService service) : OpenInferenceCases(service);

[Collection("embedded")]
public sealed class Embedded_catalog(EmbeddedService service) : CatalogCases(service);

[Collection("embedded")]
public sealed class Embedded_pipelines(EmbeddedService service) : PipelineCases(service);

[Collection("servers")]
public sealed class Servers_pipelines(ServersService service) : PipelineCases(service);

[Collection("embedded")]
public sealed class Embedded_batch_jobs(EmbeddedService service) : BatchCases(service);

[Collection("servers")]
public sealed class Servers_batch_jobs(ServersService service) : BatchCases(service);

[Collection("embedded")]
public sealed class Embedded_openai(EmbeddedService service) : OpenAiCases(service);

[Collection("servers")]
public sealed class Servers_openai(ServersService service) : OpenAiCases(service);

[Collection("embedded")]
public sealed class Embedded_registry(EmbeddedService service) : RegistryCases(service);

[Collection("servers")]
public sealed class Servers_registry(ServersService service) : RegistryCases(service);

[Collection("embedded")]
public sealed class Embedded_batching(EmbeddedService service) : BatchingCases(service);

[Collection("servers")]
public sealed class Servers_batching(ServersService service) : BatchingCases(service);

[Collection("servers")]
public sealed class Servers_jobs(ServersService service) : JobCases(service);

[Collection("servers")]
public sealed class Servers_bus(ServersService service) : BusCases(service);

[Collection("embedded")]
public sealed class Embedded_perf(EmbeddedService service) : PerfCases(service);

[Collection("servers")]
public sealed class Servers_perf(ServersService service) : PerfCases(service);

[Collection("servers")]
public sealed class Servers_hostile_models(ServersService service) : HostileModelCases(service);

[Collection("servers")]
public sealed class Servers_open_inference(ServersService service) : OpenInferenceCases(service);

[Collection("servers")]
public sealed class Servers_catalog(ServersService service) : CatalogCases(service);

[Collection("embedded")]
public sealed class Embedded_training(EmbeddedService service) : TrainingCases(service);

[Collection("servers")]
public sealed class Servers_training(ServersService service) : TrainingCases(service);

[CollectionDefinition("faults")]
public sealed class FaultsCollection;

[Collection("embedded")]
public sealed class Embedded_places(EmbeddedService service) : PlacesCases(service);

[Collection("servers")]
public sealed class Servers_places(ServersService service) : PlacesCases(service);

[Collection("embedded")]
public sealed class Embedded_semantics(EmbeddedService service) : SemanticsCases(service);

[Collection("servers")]
public sealed class Servers_semantics(ServersService service) : SemanticsCases(service);

[Collection("embedded")]
public sealed class Embedded_relations(EmbeddedService service) : RelationCases(service);

[Collection("servers")]
public sealed class Servers_relations(ServersService service) : RelationCases(service);

[Collection("embedded")]
public sealed class Embedded_dead_letters(EmbeddedService service) : DeadLetterCases(service);

[Collection("servers")]
public sealed class Servers_dead_letters(ServersService service) : DeadLetterCases(service);

[Collection("embedded")]
public sealed class Embedded_webhook_endpoints(EmbeddedService service) : WebhookEndpointCases(service);

[Collection("servers")]
public sealed class Servers_webhook_endpoints(ServersService service) : WebhookEndpointCases(service);

// Whoever makes a key closes the service to all that have none, so these have services of their own.
public sealed class Embedded_access(EmbeddedKeysService service) : AccessCases(service), IClassFixture<EmbeddedKeysService>;

public sealed class Servers_access(ServersKeysService service) : AccessCases(service), IClassFixture<ServersKeysService>;

[Collection("embedded")]
public sealed class Embedded_sweeps(EmbeddedService service) : SweepCases(service);

[Collection("servers")]
public sealed class Servers_sweeps(ServersService service) : SweepCases(service);

[Collection("embedded")]
public sealed class Embedded_evaluations(EmbeddedService service) : EvaluationCases(service);

[Collection("servers")]
public sealed class Servers_evaluations(ServersService service) : EvaluationCases(service);

[Collection("embedded")]
public sealed class Embedded_multi_label_evaluations(EmbeddedService service) : MultiLabelEvaluationCases(service);

[Collection("servers")]
public sealed class Servers_multi_label_evaluations(ServersService service) : MultiLabelEvaluationCases(service);

[Collection("embedded")]
public sealed class Embedded_gates(EmbeddedService service) : GateCases(service);

[Collection("servers")]
public sealed class Servers_gates(ServersService service) : GateCases(service);

[Collection("embedded")]
public sealed class Embedded_rollouts(EmbeddedService service) : RolloutCases(service);

[Collection("servers")]
public sealed class Servers_rollouts(ServersService service) : RolloutCases(service);

[Collection("embedded")]
public sealed class Embedded_shadows(EmbeddedService service) : ShadowCases(service);

[Collection("servers")]
public sealed class Servers_shadows(ServersService service) : ShadowCases(service);

[Collection("embedded")]
public sealed class Embedded_drift(EmbeddedService service) : DriftCases(service);

[Collection("servers")]
public sealed class Servers_drift(ServersService service) : DriftCases(service);

[CollectionDefinition("embedded-s3")]
public sealed class EmbeddedS3Collection : ICollectionFixture<EmbeddedS3Service>;

[CollectionDefinition("servers-s3")]
public sealed class ServersS3Collection : ICollectionFixture<ServersS3Service>;

// Batch jobs and trainings move more artifacts than anything else: all of their cases hold with the artifacts on S3, too.
[Collection("embedded-s3")]
public sealed class Embedded_batch_jobs_on_s3(EmbeddedS3Service service) : BatchCases(service);

[Collection("servers-s3")]
public sealed class Servers_batch_jobs_on_s3(ServersS3Service service) : BatchCases(service);

[Collection("servers-s3")]
public sealed class Servers_training_on_s3(ServersS3Service service) : TrainingCases(service);
