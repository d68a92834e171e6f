# Attention as clustering: one job per measurement, two training jobs, and figures drawn from the tables alone.
# results/attention/{networks}.safetensors: networks trained here. Rows of toy models and of the family are read from their files.

ATTENTION = config["attention"]
ATTENTION_TABLES = {
    "k_means": [
        "attention_k_means",
        "attention_soft_k_means",
        "attention_k_means_variants",
    ],
    "lloyd": ["attention_lloyd_network"],
    "sphere": [
        "attention_flow_checks",
        "attention_phase",
        "attention_phase_times",
        "attention_causal_collapse",
        "attention_tokens",
    ],
    "circle": [
        "attention_modes",
        "attention_metastable",
        "attention_synchronisation",
        "attention_noise",
    ],
    "markov": [
        "attention_embeddable",
        "attention_triangles",
        "attention_generator_distance",
        "attention_corrections",
    ],
    "mixers": ["attention_mixers", "attention_hcformer_sizes", "attention_mixer_identities"],
    "packing": ["attention_packing", "attention_pair_energy"],
    "trained_rows": ["attention_trained_rows", "toy_pair_energy"],
}
# Toy models in strong superposition whose n x n overlaps fit into memory.
PACKED_MODELS = [
    name
    for name, cell in TOY_CELLS.items()
    if cell.gamma <= ATTENTION["trained_rows"]["largest_gamma"]
    and cell.n <= ATTENTION["trained_rows"]["largest_n"]
    and cell.activation_density <= 1
    and cell.learning_rate_factor == 1
]


rule attention:
    input:
        [f"results/tables/{table}.csv" for tables in ATTENTION_TABLES.values() for table in tables],
        pictures(DRAWINGS["draw_attention_figures"]),


rule measure_k_means:
    output:
        expand("results/tables/{table}.csv", table=ATTENTION_TABLES["k_means"]),
    log:
        "logs/attention/k_means.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        data=ATTENTION["k_means"]["data"],
        starts=ATTENTION["k_means"]["starts"],
        source=source_fingerprint("attention/k_means_study"),
    shell:
        "python -m scaling.attention.k_means_study --data {params.data} --starts {params.starts}"
        " --tables results/tables > {log} 2>&1"


rule train_lloyd_networks:
    output:
        "results/attention/lloyd_networks.safetensors",
    log:
        "logs/attention/train_lloyd_networks.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        networks=lloyd_networks(ATTENTION["lloyd_networks"]["networks"]),
        steps=ATTENTION["lloyd_networks"]["steps"],
        source=source_fingerprint("attention/lloyd_network"),
    shell:
        "python -m scaling.attention.lloyd_network --networks {params.networks} --steps {params.steps}"
        " --output {output} > {log} 2>&1"


rule measure_lloyd_networks:
    input:
        "results/attention/lloyd_networks.safetensors",
    output:
        expand("results/tables/{table}.csv", table=ATTENTION_TABLES["lloyd"]),
    log:
        "logs/attention/measure_lloyd_networks.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("attention/lloyd_measurement"),
    shell:
        "python -m scaling.attention.lloyd_measurement --networks {input} --output {output} > {log} 2>&1"


rule measure_tokens_on_the_sphere:
    output:
        expand("results/tables/{table}.csv", table=ATTENTION_TABLES["sphere"]),
    log:
        "logs/attention/sphere.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
        runtime=600,
    params:
        dimensions=ATTENTION["phase"]["dimensions"],
        betas=ATTENTION["phase"]["betas"],
        draws=ATTENTION["phase"]["draws"],
        seed=ATTENTION["phase"]["seed"],
        source=source_fingerprint("attention/sphere_study"),
    shell:
        "python -m scaling.attention.sphere_study --dimensions {params.dimensions} --betas {params.betas}"
        " --draws {params.draws} --seed {params.seed} --tables results/tables > {log} 2>&1"


rule measure_tokens_on_the_circle:
    output:
        expand("results/tables/{table}.csv", table=ATTENTION_TABLES["circle"]),
    log:
        "logs/attention/circle.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        seeds=ATTENTION["circle"]["seeds"],
        betas=ATTENTION["circle"]["betas"],
        noise=ATTENTION["circle"]["noise_dimensions"],
        source=source_fingerprint("attention/circle_study"),
    shell:
        "python -m scaling.attention.circle_study --seeds {params.seeds} --betas {params.betas}"
        " --noise-dimensions {params.noise} --tables results/tables > {log} 2>&1"


rule measure_markov_generators:
    output:
        expand("results/tables/{table}.csv", table=ATTENTION_TABLES["markov"]),
    log:
        "logs/attention/markov.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        draws=ATTENTION["markov_draws"],
        source=source_fingerprint("attention/markov_study"),
    shell:
        "python -m scaling.attention.markov_study --draws {params.draws} --tables results/tables > {log} 2>&1"


rule train_mixers:
    output:
        "results/attention/mixers.safetensors",
    log:
        "logs/attention/train_mixers.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        kinds=ATTENTION["mixers"]["kinds"],
        seeds=ATTENTION["mixers"]["seeds"],
        epochs=ATTENTION["mixers"]["epochs"],
        kappa=ATTENTION["mixers"]["kappa"],
        source=source_fingerprint("attention/mixer_training"),
    shell:
        "python -m scaling.attention.mixer_training --mixers {params.kinds} --seeds {params.seeds}"
        " --epochs {params.epochs} --kappa {params.kappa} --output {output} > {log} 2>&1"


rule measure_mixers:
    input:
        "results/attention/mixers.safetensors",
    output:
        expand("results/tables/{table}.csv", table=ATTENTION_TABLES["mixers"]),
    log:
        "logs/attention/measure_mixers.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("attention/mixer_measurement"),
    shell:
        "python -m scaling.attention.mixer_measurement --networks {input} --tables results/tables > {log} 2>&1"


rule measure_packings:
    output:
        expand("results/tables/{table}.csv", table=ATTENTION_TABLES["packing"]),
    log:
        "logs/attention/packing.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        sets=ATTENTION["packing"]["sets"],
        iterations=ATTENTION["packing"]["iterations"],
        seed=ATTENTION["packing"]["seed"],
        source=source_fingerprint("attention/packing_study"),
    shell:
        "python -m scaling.attention.packing_study --sets {params.sets} --iterations {params.iterations}"
        " --seed {params.seed} --tables results/tables > {log} 2>&1"


rule measure_trained_rows:
    input:
        toy=expand("results/toy/models/{model}.safetensors", model=PACKED_MODELS),
        bigram=[
            f"results/bigram/models/{name}.safetensors"
            for name, cell in BIGRAM_CELLS.items()
            if cell.gamma < 0
        ],
        heads=expand(
            "{path}/model.safetensors", path=[entry["path"] for entry in FAMILY_MODELS.values()]
        ),
    output:
        expand("results/tables/{table}.csv", table=ATTENTION_TABLES["trained_rows"]),
    log:
        "logs/attention/trained_rows.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        samples=ATTENTION["trained_rows"]["samples"],
        source=source_fingerprint("attention/trained_rows"),
    shell:
        "python -m scaling.attention.trained_rows --toy {input.toy} --bigram {input.bigram}"
        " --heads {input.heads} --samples {params.samples} --tables results/tables > {log} 2>&1"
